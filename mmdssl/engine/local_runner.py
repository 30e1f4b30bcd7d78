"""mmengine's runner with what this machine can compute."""

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner

from mmdssl.engine.unwrap import unwrap_model

__all__ = ['local_runner']


def local_runner(config: Config) -> Runner:
    """The runner of a config; without a GPU synchronised BatchNorm becomes the plain one."""
    runner = Runner.from_cfg(config)
    if not torch.cuda.is_available():  # synchronised BatchNorm runs on GPUs only
        revert_sync_batchnorm(unwrap_model(runner.model))
    return runner
