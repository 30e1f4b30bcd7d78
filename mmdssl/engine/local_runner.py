"""mmengine's runner with what this machine can compute."""

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner

from mmdssl.engine.unwrap import unwrap_model
from mmdssl.engine.writing import check_writable, steady_logging

__all__ = ['local_runner']


def local_runner(config: Config) -> Runner:
    """The runner of a config; without a GPU synchronised BatchNorm becomes the plain one.

    Raises:
        OSError: The work folder cannot be written, or its disk is full.
    """
    if is_main_process():
        check_writable(config.work_dir)
    runner = Runner.from_cfg(config)
    steady_logging(runner.logger)
    if not torch.cuda.is_available():  # synchronised BatchNorm runs on GPUs only
        revert_sync_batchnorm(unwrap_model(runner.model))
    return runner
