"""Evaluate a frozen backbone on objects (O-KNN, disturbed O-KNN), or a fine-tuned model.

    python tools/test.py CONFIG [CHECKPOINT] [--data-root FOLDER] [--out metrics.json]

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
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner, set_random_seed
from rich.console import Console
from rich.table import Table

from mmdssl.core.checkpointing import atomic_text
from mmdssl.datasets.start_checks import check_images
from mmdssl.engine.command_line import CommandLine, OptionsAction
from mmdssl.engine.config import load_config
from mmdssl.engine.fine_tuned import build_test_runner
from mmdssl.engine.frameworks import framework_of, readable_data
from mmdssl.engine.launch import readable_errors
from mmdssl.engine.plain_errors import says_what_happened
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.evaluation.separation import check_separate
from mmdssl.models.utils.backbone_weights import Source, load_backbone

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
    parser = CommandLine(
        description='Evaluate a frozen backbone on objects, or a fine-tuned detector or segmentor.'
    )
    parser.add_argument('config', type=Path)
    parser.add_argument('checkpoint', type=Path, nargs='?', help='none: the untrained backbone')
    parser.add_argument(
        '--source',
        choices=('auto', 'teacher', 'student'),
        default='auto',
        help='which backbone of the checkpoint; auto: the one that the method keeps',
    )
    parser.add_argument(
        '--data-root',
        help="folder of the labelled data of an evaluation of objects, in place of the config's",
    )
    parser.add_argument('--work-dir', help='logs; default work_dirs/<config>/test')
    parser.add_argument('--out', type=Path, help='file for the metrics, json')
    parser.add_argument(
        '--show-dir', type=Path, help='folder for pictures of the predictions (mmdet, mmseg)'
    )
    parser.add_argument('--amp', action='store_true', help='features in half precision')
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='for launchers')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='changes of the config, e.g. data_root=data/coco_mini',
    )
    return parser.parse_args(argv)


def evaluation_config(config: Config) -> Config:
    """The config of an evaluation out of that of a run.

    Raises:
        ValueError: If it names no data, no metrics or no backbone.
    """
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


def build_extractor(
    config: Config, checkpoint: Path | None, source: Source = 'auto'
) -> FeatureExtractor:
    """The config's backbone with the checkpoint's weights, or initialised without one."""
    settings = dict(config.model)
    if settings.pop('type') not in ('FeatureExtractor', 'mmdssl.FeatureExtractor'):
        preprocessor = settings.get('data_preprocessor') or config.get('data_preprocessor')
        settings = dict(backbone=settings['backbone'], data_preprocessor=preprocessor)
    extractor = FeatureExtractor(**settings)
    if checkpoint is None:
        extractor.init_weights()
        print_log('no checkpoint: evaluating the untrained backbone', logger='current')
    else:
        report = load_backbone(extractor.backbone, checkpoint, source=source)
        print_log(f'{checkpoint}: {report}', logger='current')
    return extractor


def as_table(metrics: dict[str, Any], title: str) -> Table:
    """One row per metric, one column per number: 'oknn/top1' goes to row 'oknn'.

    Where that makes too many columns to read, every number has a row of its own.
    """
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


def build_runner(options: argparse.Namespace) -> Runner:
    """Everything the options name, ready to run."""
    config = load_config(options.config, options.cfg_options)
    work_dir = options.work_dir or f'work_dirs/{options.config.stem}/test'
    if framework_of(config) is not None:
        if options.data_root is not None:
            raise ValueError(
                '--data-root is for evaluations of objects: for a detector or segmentor give '
                f'--cfg-options data_root={options.data_root}'
            )
        config.launcher = options.launcher
        if options.amp:
            config.test_cfg = {**(config.get('test_cfg') or {}), 'fp16': True}
        return build_test_runner(config, options.checkpoint, work_dir, show_dir=options.show_dir)
    if options.show_dir is not None:
        raise ValueError(
            '--show-dir is for detectors and segmentors: of a frozen backbone draw '
            'tools/analyze.py affinity or report'
        )
    config = evaluation_config(config)
    if options.data_root is not None:
        config.test_dataloader.dataset.data_root = options.data_root
    if options.amp:
        config.test_cfg['fp16'] = True
    randomness = config.get('randomness') or dict(seed=0)
    set_random_seed(randomness.get('seed'))  # the untrained backbone is one of this seed
    return Runner(
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


def main(argv: list[str] | None = None) -> int:
    """The command line; 0, or 2 with one sentence on unusable input."""
    options = parse_arguments(argv)
    os.environ.setdefault('LOCAL_RANK', str(options.local_rank))
    try:
        runner = build_runner(options)
        with readable_data(runner.cfg, 'test_dataloader'):
            loop = runner.test_loop  # builds the data set
        check_images(loop.dataloader.dataset)
        check_separate(loop.dataloader.dataset, loop.evaluator.metrics)
    except (ValueError, OSError, ImportError) as error:
        print(f'error: {says_what_happened(error)}', file=sys.stderr)
        return 2
    with readable_errors(lambda: False):  # what may come at any time, such as an unreadable image
        metrics = runner.test()
    if is_main_process():
        title = f'{options.config.stem}, {options.checkpoint or "untrained"}'
        Console().print(as_table(metrics, title))
        if options.out:
            atomic_text(json.dumps(metrics, indent=2, default=float) + '\n', options.out)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
