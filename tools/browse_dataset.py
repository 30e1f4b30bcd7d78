"""Draw what a pre-training config feeds its model: views, regions, masks and X^D.

    python tools/browse_dataset.py CONFIG [--out DIR] [--num N] [--images N] [--cfg-options k=v ...]

Writes ``batch_000.png`` ... with one column per image and, where the config has the de-coupling
branch, ``xd_000.png`` ... that show how X^D comes about. Colours are as the model sees them; X^D
is composed by the config's own branch.
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from rich.console import Console
from rich.progress import track

from mmdssl.engine.config import load_config
from mmdssl.visualization.decoupled import draw_decoupled
from mmdssl.visualization.preview import build_model, training_batches
from mmdssl.visualization.views import draw_batch


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Draw what a pre-training config feeds its model.')
    parser.add_argument('config', type=Path)
    parser.add_argument('--out', type=Path, help='folder; default work_dirs/<config>/browse')
    parser.add_argument('--num', type=int, default=2, help='batches to draw (default 2)')
    parser.add_argument('--images', type=int, default=8, help='images of each batch (default 8)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='changes of the config, e.g. data_root=my/photos',
    )
    return parser.parse_args(arguments)


def browse(config: Config, out: Path, *, num: int, images: int) -> list[Path]:
    """Draw ``num`` batches of a config.

    Args:
        config: Of a pre-training run.
        out: Folder for the pictures.
        num: Batches to draw, at least 1.
        images: Columns per picture, at least 1.

    Returns:
        The files written.

    Raises:
        ValueError: For numbers below 1, or a config that gives no batch.
    """
    if num < 1 or images < 1:
        raise ValueError(f'--num {num} and --images {images} must be at least 1')
    model = build_model(config)
    data_preprocessor, branch = model.data_preprocessor, getattr(model, 'decoupling', None)
    written = []
    batches = track(training_batches(config, num), 'drawing', total=num, transient=True)
    for step, batch in enumerate(batches):
        written.append(
            draw_batch(
                batch.data,
                data_preprocessor,
                out / f'batch_{step:03d}.png',
                branch=branch,
                compose=getattr(model, 'compose', None),
                regions=batch.regions,
                max_images=images,
                step=step,
            )
        )
        if branch is not None:
            written.append(
                draw_decoupled(
                    batch.data,
                    data_preprocessor,
                    out / f'xd_{step:03d}.png',
                    branch=branch,
                    max_samples=images,
                    step=step,
                )
            )
    return written


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or 2 where it cannot be done."""
    options = parse_arguments(arguments)
    try:
        config = load_config(options.config, options.cfg_options)
        out = options.out or Path('work_dirs') / options.config.stem / 'browse'
        written = browse(config, out, num=options.num, images=options.images)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    Console().print('\n'.join(str(path) for path in written), highlight=False)
    return 0


if __name__ == '__main__':
    sys.exit(main())
