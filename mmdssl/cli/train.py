"""Train a model: a pre-training config, or a detector or segmentor of mmdet or mmseg.

    python tools/train.py CONFIG
    python tools/train.py CONFIG --dry-run       # a few steps: speed, memory, hours, a picture
    python tools/train.py CONFIG --resume        # continue the newest checkpoint that is whole
    python tools/train.py CONFIG --overwrite     # a new run in place of the one in the folder

Several processes: tools/dist_train.sh, tools/slurm_train.sh. Ctrl-C and SIGTERM leave a checkpoint.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from mmengine.dist import is_distributed, is_main_process
from mmengine.runner import Runner

from mmdssl.engine.command_line import CommandLine, OptionsAction
from mmdssl.engine.config import load_config
from mmdssl.engine.dry_run import dry_run
from mmdssl.engine.launch import (
    build_runner,
    leave_process_group,
    prepare_config,
    readable_errors,
    train,
)
from mmdssl.engine.run_folder import check_folder, clear_folder, held_folder


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description='Train a pre-training, detection or segmentation config.')
    parser.add_argument('config', type=Path)
    parser.add_argument('--work-dir', help='default: work_dirs/<name of the config>')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue a run; without a file, the newest whole one of the work folder',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace the run that the work folder holds; deletes its checkpoints and curves',
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
        action=OptionsAction,
        help='changes of the config, e.g. data_root=my/photos train_dataloader.batch_size=32',
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = parse_arguments(arguments)
    with ExitStack() as stack:
        runner = _prepare(options, stack)
        if runner is not None:
            train(runner)


def _prepare(options: argparse.Namespace, stack: ExitStack) -> Runner | None:
    """What is to be trained, in a folder that ``stack`` holds; None after a rehearsal."""
    with readable_errors():
        if options.overwrite and options.resume == 'auto':
            raise ValueError('--resume goes on with a run that --overwrite deletes: give one')
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
            return None
        # GPU processes know each other only when the runner is built.
        if options.launcher == 'none' or is_distributed():
            stack.enter_context(held_folder(config.work_dir))
        check_folder(config, overwrite=options.overwrite)
        runner = build_runner(config)
        stack.enter_context(held_folder(config.work_dir))
        if options.overwrite and is_main_process():
            clear_folder(config)
        return runner


if __name__ == '__main__':
    main()
