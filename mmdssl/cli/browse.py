"""Draw what a pre-training config feeds its model: views, regions, masks and X^D.

    mmdssl browse CONFIG [--out DIR] [--num-batches N] [--max-images N] [--cfg-options k=v ...]
    mmdssl browse LEOPART_CONFIG --checkpoint work_dirs/RUN/iter_200.pth

Writes ``batch_000.png`` ... with one column per image and, where the config has the de-coupling
branch, ``xd_000.png`` ... that show how X^D comes about. Colours are as the model sees them; X^D
is composed by the config's own branch. MaskAlign and Leopart look at a batch before they learn from
it: ``attentive_000.png`` shows the teacher's attention and the patches it leaves to the student,
``leopart_000.png`` overlaps, foreground and clusters, with --checkpoint those of a trained run.
D3SSL: ``d3ssl_000.png``, the views of its nets, and ``regions_000.png``, draws of PRC, PRM and RBJ.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mmdssl.cli.arguments import add_cfg_options, add_config, failed, positive
from mmdssl.engine.command_line import CommandLine

if TYPE_CHECKING:  # imported where it is needed: --help need not wait for torch
    from mmengine.config import Config
    from torch import nn


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config(parser, 'of a pre-training run')
    parser.add_argument('--out', type=Path, help='folder (default: work_dirs/CONFIG/browse)')
    parser.add_argument('--num-batches', type=positive, default=2, help='batches to draw (2)')
    parser.add_argument('--max-images', type=positive, default=8, help='images of each batch (8)')
    parser.add_argument(
        '--checkpoint', type=Path, help='of a run of Leopart with this config, for its pictures'
    )
    add_cfg_options(parser, 'data_root=my/images')
    return parser.parse_args(argv)


def browse(
    config: 'Config',
    out: Path,
    *,
    num_batches: int,
    max_images: int,
    checkpoint: Path | None = None,
) -> list[Path]:
    """Draw some batches of a config.

    Args:
        config: Of a pre-training run.
        out: Folder for the pictures.
        num_batches: Batches to draw, at least 1.
        max_images: Columns per picture, at least 1.
        checkpoint: Of a run of Leopart; None: what the config starts from.

    Returns:
        The files written. Pictures that need a network that is not there are left out, with a
        warning.

    Raises:
        FileNotFoundError: If ``checkpoint`` is missing.
        ValueError: For a config that gives no batch, or a checkpoint that does not fit.
    """
    from rich.progress import track

    from mmdssl.visualization.decoupled import draw_decoupled
    from mmdssl.visualization.method_pictures import draw_method
    from mmdssl.visualization.preview import build_model, stride_of, training_batches
    from mmdssl.visualization.views import draw_batch

    model = build_model(config)
    data_preprocessor, branch = model.data_preprocessor, getattr(model, 'decoupling', None)
    looks, stride = _ready(model, checkpoint), stride_of(model.backbone)
    written = []
    batches = track(
        training_batches(config, num_batches), 'drawing', total=num_batches, transient=True
    )
    for step, batch in enumerate(batches):
        written.append(
            draw_batch(
                batch.data,
                data_preprocessor,
                out / f'batch_{step:03d}.png',
                branch=branch,
                compose=getattr(model, 'compose', None),
                regions=batch.regions,
                max_images=max_images,
                step=step,
                stride=stride,
            )
        )
        if branch is not None:
            written.append(
                draw_decoupled(
                    batch.data,
                    data_preprocessor,
                    out / f'xd_{step:03d}.png',
                    branch=branch,
                    max_samples=max_images,
                    step=step,
                    stride=stride,
                )
            )
        if looks:
            written += draw_method(batch.data, model, out, step=step, images=max_images)
    return written


def _ready(model: 'nn.Module', checkpoint: Path | None) -> bool:
    """Whether the method has pictures of its own and now the weights for them."""
    from mmdssl.visualization.method_pictures import give_weights, has_pictures

    if checkpoint is None and not has_pictures(model):
        return False
    try:
        give_weights(model, checkpoint)
    except FileNotFoundError as error:
        if checkpoint is not None:
            raise
        print(f'warning: no pictures of the method itself: {error}', file=sys.stderr)
        return False
    return True


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0, or 2 where it cannot be done."""
    options = parse_arguments(argv)
    from mmdssl.engine.channels import complete_channels
    from mmdssl.engine.config import load_config

    try:
        config = load_config(options.config, options.cfg_options)
        complete_channels(config)
        out = options.out or Path('work_dirs') / options.config.stem / 'browse'
        written = browse(
            config,
            out,
            num_batches=options.num_batches,
            max_images=options.max_images,
            checkpoint=options.checkpoint,
        )
    except (ValueError, OSError) as error:
        return failed(error)
    print(*written, sep='\n')
    return 0
