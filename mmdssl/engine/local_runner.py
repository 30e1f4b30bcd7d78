"""mmengine's runner with what this machine can compute, and with what every run needs."""

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


class QuietRunner(Runner):
    """mmengine's runner whose pages on environment, config and hooks stay in the log file."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """As mmengine's, with less on the terminal."""
        logger = super().build_logger(*args, **kwargs)
        keep_pages_off_the_terminal(logger)
        return logger


def local_runner(config: Config) -> Runner:
    """The runner of a config; without a GPU synchronised BatchNorm becomes the plain one.

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
    runner = QuietRunner.from_cfg(config)
    steady_logging(runner.logger)
    if getattr(runner.logger, 'log_file', None):
        runner.logger.info(f'environment, config and hooks: {runner.logger.log_file}')
    if wanted and not any(isinstance(hook, FiniteStepHook) for hook in runner.hooks):
        runner.register_hook(FiniteStepHook())
    if not torch.cuda.is_available():  # synchronised BatchNorm runs on GPUs only
        revert_sync_batchnorm(unwrap_model(runner.model))
    return runner
