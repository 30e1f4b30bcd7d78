"""Pre-train a model.

    python tools/train.py CONFIG
    python tools/train.py CONFIG --dry-run       # a few steps: speed, memory, hours, a picture
    python tools/train.py CONFIG --resume        # continue the newest checkpoint of the work folder

Several processes: tools/dist_train.sh, tools/slurm_train.sh. Ctrl-C and SIGTERM leave a checkpoint.
"""

import argparse
from pathlib import Path

from mmengine.config import DictAction
from mmengine.dist import is_main_process

from mmdssl.engine.config import load_config
from mmdssl.engine.dry_run import dry_run
from mmdssl.engine.launch import (
    build_runner,
    leave_process_group,
    prepare_config,
    readable_errors,
    train,
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Pre-train a model.')
    parser.add_argument('config', type=Path)
    parser.add_argument('--work-dir', help='default: work_dirs/<name of the config>')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue a run; without a file, the newest of the work folder',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=('fp16', 'bf16', 'auto', 'off'),
        help='mixed precision; without a value bf16 where the device knows it, otherwise fp16',
    )
    parser.add_argument('--seed', type=int, help="default: the config's")
    parser.add_argument('--dry-run', action='store_true', help='rehearse, and tell what it takes')
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='changes of the config, e.g. data_root=my/photos train_dataloader.batch_size=32',
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = parse_arguments(arguments)
    with readable_errors():
        config = prepare_config(
            load_config(options.config, options.cfg_options),
            work_dir=options.work_dir,
            resume=options.resume,
            amp=options.amp,
            seed=options.seed,
            launcher=options.launcher,
        )
        if options.dry_run:
            report = dry_run(config)
            if is_main_process():
                print(f'\n{report}')
            leave_process_group()
            return
        runner = build_runner(config)
    train(runner)


if __name__ == '__main__':
    main()
