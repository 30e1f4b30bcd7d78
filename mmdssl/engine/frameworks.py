"""Configs of mmdet and mmseg through the tools of this package."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner

from mmdssl.compat import require_stack
from mmdssl.engine.checkpointing import install_safe_loading, load_checkpoint_file
from mmdssl.engine.unwrap import unwrap_model

__all__ = ['build_test_runner', 'check_framework', 'framework_of']

# Scope of a config -> what has to work for it, as mmdssl.compat names it.
_PURPOSES = {'mmdet': 'det', 'mmseg': 'seg'}


def framework_of(config: Config) -> str | None:
    """``'mmdet'`` or ``'mmseg'`` if the config is one of a detector or a segmentor, else None."""
    scope = config.get('default_scope')
    return scope if scope in _PURPOSES else None


def check_framework(config: Config) -> None:
    """Refuse a config whose framework, or mmcv's compiled ops that it needs, are not there.

    Raises:
        ImportError: What is missing and the remedy.
    """
    framework = framework_of(config)
    if framework is not None:
        require_stack(_PURPOSES[framework])


def build_test_runner(config: Config, checkpoint: Path | None, work_dir: str) -> Runner:
    """A fine-tuned detector or segmentor, ready for ``runner.test()``.

    Args:
        config: With ``default_scope`` 'mmdet' or 'mmseg'.
        checkpoint: Of the fine-tuning run; every tensor of the model must be in it.
        work_dir: For logs.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If there is none given, the config has no test data, or the checkpoint
            does not fit.
    """
    if checkpoint is None:
        raise ValueError(
            f'a config of {framework_of(config)} is tested with the checkpoint of its fine-tuning '
            'run: give it after the config'
        )
    for part in ('test_dataloader', 'test_evaluator'):
        if config.get(part) is None:
            raise ValueError(f'{config.filename}: no {part}; there is nothing to test on')
    load_checkpoint_file(checkpoint)  # says clearly what is wrong with a file
    install_safe_loading()
    config.work_dir = work_dir
    config.load_from, config.resume = None, False
    config.setdefault('test_cfg', dict())
    runner = Runner.from_cfg(config)
    model = unwrap_model(runner.model)
    if not torch.cuda.is_available():  # synchronised BatchNorm runs on GPUs only
        revert_sync_batchnorm(model)
    try:
        runner.load_checkpoint(str(checkpoint), strict=True)
    except RuntimeError as error:
        first = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), error)
        raise ValueError(
            f'{checkpoint} is not a checkpoint of the {type(model).__name__} of '
            f'{config.filename}: {str(first)[:200]}; give the config it was trained with'
        ) from error
    return runner
