"""mmengine's runner with what this machine can compute, and with what every run needs."""

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner

from mmdssl.engine.hooks.finite_step import FiniteStepHook
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.engine.writing import check_writable, steady_logging

__all__ = ['local_runner']


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
    runner = Runner.from_cfg(config)
    steady_logging(runner.logger)
    if wanted and not any(isinstance(hook, FiniteStepHook) for hook in runner.hooks):
        runner.register_hook(FiniteStepHook())
    if not torch.cuda.is_available():  # synchronised BatchNorm runs on GPUs only
        revert_sync_batchnorm(unwrap_model(runner.model))
    return runner
