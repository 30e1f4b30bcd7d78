"""mmengine's runner with what this machine can compute, and with what every run needs."""

from itertools import count
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner

from mmdssl.engine.hooks.finite_step import FiniteStepHook
from mmdssl.engine.training_log import keep_pages_off_the_terminal
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.engine.writing import check_writable, steady_logging

__all__ = ['QuietRunner', 'local_runner']

_runs = count(1)


class QuietRunner(Runner):
    """mmengine's runner whose pages on environment, config and hooks stay in the log file."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """As mmengine's, with less on the terminal."""
        logger = super().build_logger(*args, **kwargs)
        keep_pages_off_the_terminal(logger)
        return logger


def local_runner(config: Config) -> Runner:
    """The runner of a config; without a GPU synchronised BatchNorm becomes the plain one.

    mmengine names a run by its config and the second it starts in, and gives runs of one name one
    logger and one visualizer: a second run of this process is numbered, so that it writes its
    curves into a folder of its own however soon it follows.

    Its steps are watched by a ``FiniteStepHook`` also where the config does not name one (of an
    older version, or of mmdet or mmseg); ``default_hooks=dict(finite=None)`` leaves it out.

    Raises:
        OSError: The work folder cannot be written, or its disk is full.
    """
    if is_main_process():
        check_writable(config.work_dir)
    hooks = dict(config.get('default_hooks') or {})
    wanted = hooks.get('finite', True)
    if wanted is None:  # mmengine takes None for its own hooks only
        del hooks['finite']
        config.default_hooks = hooks
    number = next(_runs)
    if number > 1 and not config.get('experiment_name'):
        stem = Path(config.filename).stem if config.filename else 'run'
        config.experiment_name = f'{stem}-{number}'
    runner = QuietRunner.from_cfg(config)
    steady_logging(runner.logger)
    if getattr(runner.logger, 'log_file', None):
        runner.logger.info(f'environment, config and hooks: {runner.logger.log_file}')
    if wanted and not any(isinstance(hook, FiniteStepHook) for hook in runner.hooks):
        runner.register_hook(FiniteStepHook())
    if not torch.cuda.is_available():  # synchronised BatchNorm runs on GPUs only
        revert_sync_batchnorm(unwrap_model(runner.model))
    return runner
