"""Train a model: a pre-training config, or a detector or segmentor of mmdet or mmseg.

    mmdssl train CONFIG
    mmdssl train CONFIG --dry-run       # a few steps: speed, memory, hours, a picture
    mmdssl train CONFIG --resume        # continue the newest checkpoint that is whole
    mmdssl train CONFIG --overwrite     # a new run in place of the one in the folder

Several processes: tools/dist_train.sh, tools/slurm_train.sh. Ctrl-C and SIGTERM leave a checkpoint.
"""

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mmdssl.cli.arguments import add_amp, add_cfg_options, add_config, add_launcher, add_log
from mmdssl.engine.command_line import CommandLine

if TYPE_CHECKING:  # imported where it is needed: --help need not wait for torch
    from mmengine.runner import Runner


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config(parser, 'of a pre-training, detection or segmentation run')
    parser.add_argument('--work-dir', help='folder of the run (default: work_dirs/CONFIG)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue a run; without a file, from the newest whole one of the work folder',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace the run that the work folder holds; deletes its checkpoints and curves',
    )
    add_amp(parser)
    parser.add_argument('--seed', type=int, help="random seed (default: the config's)")
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='build everything, run a few steps, report speed, memory and estimated time',
    )
    add_log(parser)
    add_launcher(parser)
    add_cfg_options(parser, 'data_root=my/images train_dataloader.batch_size=32')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    options = parse_arguments(argv)
    from mmdssl.engine.launch import train

    with ExitStack() as stack:
        runner = _prepare(options, stack)
        if runner is not None:
            train(runner)


def _prepare(options: argparse.Namespace, stack: ExitStack) -> 'Runner | None':
    """What is to be trained, in a folder that ``stack`` holds; None after a rehearsal."""
    from mmengine.dist import is_distributed, is_main_process

    from mmdssl.engine.config import load_config
    from mmdssl.engine.dry_run import dry_run
    from mmdssl.engine.launch import (
        build_runner,
        leave_process_group,
        prepare_config,
        readable_errors,
    )
    from mmdssl.engine.run_folder import check_folder, clear_folder, held_folder

    with readable_errors():
        if options.overwrite and options.resume == 'auto':
            raise ValueError('--resume goes on with a run that --overwrite deletes: give one')
        config = prepare_config(
            load_config(options.config, options.cfg_options),
            work_dir=options.work_dir,
            resume=options.resume,
            amp=options.amp,
            seed=options.seed,
            log=options.log,
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
