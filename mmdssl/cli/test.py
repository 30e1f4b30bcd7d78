"""Evaluate a frozen backbone on objects (O-KNN, disturbed O-KNN), or a fine-tuned model.

    mmdssl test CONFIG [CHECKPOINT] [--data-root FOLDER] [--out metrics.json]

CONFIG is that of a pre-training run, whose backbone is taken, or one whose model is a
FeatureExtractor. Data and metrics are its ``test_dataloader`` and ``test_evaluator`` or, where it
has none, ``object_knn_dataloader`` and ``object_knn_evaluator``; ``--data-root`` names another
folder of the same layout. Without CHECKPOINT the untrained backbone is evaluated, the floor that
features have to beat.

A CONFIG of mmdet or mmseg (``default_scope``) is that of a fine-tuning run instead: the detector
or segmentor of CHECKPOINT is tested on the config's test data.
"""

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdssl.cli.arguments import (
    add_amp,
    add_cfg_options,
    add_config,
    add_launcher,
    add_source,
    failed,
)
from mmdssl.engine.command_line import CommandLine

if TYPE_CHECKING:  # imported where it is needed: --help need not wait for torch
    from mmengine.config import Config
    from mmengine.runner import Runner
    from rich.table import Table


_WIDE = 70  # letters of columns that fit beside the names of a terminal of 80
# Parts of a pre-training config that an evaluation does not need.
TRAINING = (
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'auto_scale_lr',
    'val_dataloader',
    'val_evaluator',
    'val_cfg',
    'custom_hooks',
    'load_from',
    'resume',
)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config(parser, 'of the run that the backbone, detector or segmentor comes from')
    parser.add_argument(
        'checkpoint', type=Path, nargs='?', help='weights; without: the untrained backbone'
    )
    add_source(parser)
    parser.add_argument(
        '--data-root', help="folder of the labelled data of O-KNN, in place of the config's"
    )
    parser.add_argument('--work-dir', help='folder for logs (default: work_dirs/CONFIG/test)')
    parser.add_argument('--out', type=Path, help='file for the metrics (.json)')
    parser.add_argument(
        '--show-dir', type=Path, help='folder for pictures of the predictions (mmdet, mmseg)'
    )
    add_amp(parser)
    add_launcher(parser)
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='for launchers')
    add_cfg_options(parser, 'data_root=data/coco_mini')
    return parser.parse_args(argv)


def evaluation_config(config: 'Config') -> 'Config':
    """The config of an evaluation out of that of a run.

    Raises:
        ValueError: If it names no data, no metrics or no backbone.
    """
    from mmengine.config import Config

    config = Config({key: value for key, value in config.items() if key not in TRAINING})
    for part in ('dataloader', 'evaluator'):
        value = config.get(f'test_{part}') or config.get(f'object_knn_{part}')
        if value is None:
            raise ValueError(
                f'the config has neither test_{part} nor object_knn_{part}: inherit '
                'configs/_base_/datasets/coco_object_knn.py'
            )
        config[f'test_{part}'] = value
    config.setdefault('test_cfg', dict())
    config.setdefault('default_scope', 'mmdssl')
    if config.get('model', {}).get('backbone') is None:
        raise ValueError('the config has no model with a backbone to evaluate')
    return config


def as_table(metrics: dict[str, Any], title: str) -> 'Table':
    """One row per metric, one column per number: 'oknn/top1' goes to row 'oknn'.

    Where that makes too many columns to read, every number has a row of its own.
    """
    from rich.table import Table

    rows: dict[str, dict[str, Any]] = {}
    for name, value in metrics.items():
        row, _, column = name.rpartition('/')
        rows.setdefault(row, {})[column] = value
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    if len(columns) > 8 or sum(len(column) + 3 for column in columns) > _WIDE:
        columns, rows = ['value'], {name: {'value': value} for name, value in metrics.items()}
    table = Table('metric', title=title)
    for column in columns:
        table.add_column(column, justify='right')
    for name, numbers in rows.items():
        cells = (numbers.get(column, '') for column in columns)
        table.add_row(
            name,
            *(
                f'{c:.{2 if abs(c) >= 1 else 3}f}' if isinstance(c, float) else str(c)
                for c in cells
            ),
        )
    return table


def build_runner(options: argparse.Namespace) -> 'Runner':
    """Everything the options name, ready to run."""
    from mmengine.runner import set_random_seed

    from mmdssl.engine.channels import complete_channels
    from mmdssl.engine.config import load_config
    from mmdssl.engine.extractor import build_extractor
    from mmdssl.engine.fine_tuned import build_test_runner
    from mmdssl.engine.frameworks import framework_of
    from mmdssl.engine.local_runner import QuietRunner

    config = load_config(options.config, options.cfg_options)
    work_dir = options.work_dir or f'work_dirs/{options.config.stem}/test'
    if framework_of(config) is not None:
        if options.data_root is not None:
            raise ValueError(
                '--data-root is for evaluations of objects: for a detector or segmentor give '
                f'--cfg-options data_root={options.data_root}'
            )
        config.launcher = options.launcher
        _set_amp(config, options.amp)
        return build_test_runner(config, options.checkpoint, work_dir, show_dir=options.show_dir)
    if options.show_dir is not None:
        raise ValueError(
            '--show-dir is for detectors and segmentors: of a frozen backbone draw '
            '`mmdssl analyze affinity` or `report`'
        )
    complete_channels(config)
    config = evaluation_config(config)
    if options.data_root is not None:
        config.test_dataloader.dataset.data_root = options.data_root
    _set_amp(config, options.amp)
    randomness = config.get('randomness') or dict(seed=0)
    set_random_seed(randomness.get('seed'))  # the untrained backbone is one of this seed
    return QuietRunner(
        model=build_extractor(config, options.checkpoint, options.source),
        work_dir=work_dir,
        launcher=options.launcher,
        test_dataloader=config.test_dataloader,
        test_evaluator=config.test_evaluator,
        test_cfg=config.test_cfg,
        default_scope=config.default_scope,
        randomness=randomness,
        env_cfg=config.get('env_cfg', dict(dist_cfg=dict(backend='nccl'))),
        experiment_name=f'{options.config.stem}_test',
        cfg=config,
    )


def _set_amp(config: 'Config', amp: str | None) -> None:
    """Choose the precision of the test loop; None leaves it as the config says.

    Raises:
        ValueError: For fp16 without a GPU.
    """
    if amp is None:
        return
    import torch

    from mmdssl.engine.launch import precision_of

    precision = precision_of(amp)
    if precision == 'fp16' and not torch.cuda.is_available():
        raise ValueError('--amp fp16 needs a GPU, and there is none: take --amp bf16 or off')
    config.test_cfg = {**(config.get('test_cfg') or {}), 'fp16': precision != 'off'}
    if precision != 'off':
        # What mmengine's loop takes where it may compute in half precision.
        torch.set_autocast_dtype('cuda', torch.float16 if precision == 'fp16' else torch.bfloat16)


def main(argv: list[str] | None = None) -> int:
    """The command line; 0, or 2 with one sentence on unusable input."""
    options = parse_arguments(argv)
    os.environ.setdefault('LOCAL_RANK', str(options.local_rank))
    from mmengine.dist import is_main_process
    from rich.console import Console

    from mmdssl.core.checkpointing import atomic_text
    from mmdssl.datasets.start_checks import check_images
    from mmdssl.engine.frameworks import readable_data
    from mmdssl.engine.launch import readable_errors
    from mmdssl.evaluation.separation import check_separate

    try:
        runner = build_runner(options)
        with readable_data(runner.cfg, 'test_dataloader'):
            loop = runner.test_loop  # builds the data set
        check_images(loop.dataloader.dataset)
        check_separate(loop.dataloader.dataset, loop.evaluator.metrics)
    except (ValueError, OSError, ImportError) as error:
        return failed(error)
    with readable_errors(lambda: False):  # what may come at any time, such as an unreadable image
        metrics = runner.test()
    if is_main_process():
        title = f'{options.config.stem}, {options.checkpoint or "untrained"}'
        Console().print(as_table(metrics, title))
        if options.out:
            atomic_text(json.dumps(metrics, indent=2, default=float) + '\n', options.out)
    return 0
