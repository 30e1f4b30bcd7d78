"""From a config file and a command line to a runner that is ready to train."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.dist import barrier, is_distributed
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmdssl.core.newest import find_checkpoint
from mmdssl.datasets.start_checks import check_images
from mmdssl.engine.channels import complete_channels
from mmdssl.engine.efficiency import prepare_efficiency, set_up
from mmdssl.engine.exchange import check_exchange
from mmdssl.engine.frameworks import (
    check_classes,
    check_precision,
    framework_of,
    readable_data,
)
from mmdssl.engine.hooks.checkpoint import SafeCheckpointHook, train_and_keep
from mmdssl.engine.local_runner import local_runner
from mmdssl.engine.loggers import add_logger, check_loggers
from mmdssl.engine.plain_errors import plain_sentence, says_what_happened
from mmdssl.engine.run_folder import template_of
from mmdssl.engine.unwrap import unwrap_model

__all__ = [
    'abandon_process_group',
    'build_runner',
    'find_checkpoint',
    'leave_process_group',
    'precision_of',
    'prepare_config',
    'readable_errors',
    'train',
]

_PLAIN = ('OptimWrapper', 'PerParamClipOptimWrapper')
_AMP = ('AmpOptimWrapper', 'AmpPerParamClipOptimWrapper')
_DTYPES = {'fp16': 'float16', 'bf16': 'bfloat16'}
# What a wrong config or a missing file raises; anything else is a fault of the code.
_USER_ERRORS = (ImportError, KeyError, OSError, SyntaxError, TypeError, ValueError)


def prepare_config(
    config: Config,
    *,
    work_dir: str | Path | None = None,
    resume: str | None = None,
    amp: str | None = None,
    seed: int | None = None,
    log: str | None = None,
    launcher: str = 'none',
) -> Config:
    """Apply the options of ``mmdssl train`` to a config, in place.

    Args:
        config: A training config.
        work_dir: Where the run keeps its files; default: the config's ``work_dir``,
            or ``work_dirs/<name of the config>``.
        resume: A checkpoint to continue from, or ``'auto'`` for the newest whole one of
            the work folder (a new run if there is none); None as the config says.
        amp: ``'fp16'``, ``'bf16'``, ``'auto'`` (bf16 where the device computes in
            it, otherwise fp16) or ``'off'``; None leaves the config as it is.
        seed: Replaces the config's.
        log: Where the curves go besides the folder of the run, see `LOGGERS`.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Returns:
        The same config.

    Raises:
        FileNotFoundError: If the checkpoint to resume from does not exist.
        ValueError: If an option does not fit the config or the machine, or no checkpoint
            of the work folder can be resumed from.
    """
    for part in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'):
        if config.get(part) is None:
            raise ValueError(f'{config.filename}: no {part}; this is not a training config')
    if work_dir is not None:
        config.work_dir = str(work_dir)
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / Path(config.filename).stem)
    if resume is None and config.get('resume'):
        resume = config.get('load_from') or 'auto'
    if resume is not None:
        found = find_checkpoint(config.work_dir, resume, template_of(config))
        config.resume = found is not None
        config.load_from = str(found) if found else config.get('load_from')
    if amp is not None:
        set_precision(config, amp)
    if seed is not None:
        config.randomness = {**config.get('randomness', {}), 'seed': seed}
    config.launcher = launcher
    if launcher != 'none' and not torch.cuda.is_available():
        _prepare_cpu_processes(config, launcher)
    if log is not None:
        add_logger(config, log, config.work_dir)
    check_loggers(config)
    _without_workers(config)
    return config


def _without_workers(part: Any) -> None:
    """Where no workers are asked for, none are kept and none prefetch: torch refuses both."""
    if isinstance(part, dict) and part.get('num_workers') == 0:
        part.pop('persistent_workers', None)
        part.pop('prefetch_factor', None)
    if isinstance(part, dict | Config | list | tuple):
        for value in part if isinstance(part, list | tuple) else part.values():
            _without_workers(value)


def set_precision(config: Config, amp: str) -> None:
    """Choose the optimizer wrapper and its dtype."""
    wrapper = config.optim_wrapper
    kind = wrapper.get('type', 'OptimWrapper')
    own = framework_of(config) is None  # mmdet and mmseg know mmengine's wrappers only
    if kind not in _PLAIN + _AMP:
        raise ValueError(
            f'--amp: the optimizer wrapper {kind!r} cannot be switched; set its precision in the '
            'config'
        )
    amp = precision_of(amp)
    if amp == 'off':
        wrapper.type = 'PerParamClipOptimWrapper' if own else 'OptimWrapper'
        for setting in ('dtype', 'loss_scale', 'use_fsdp'):
            wrapper.pop(setting, None)
    elif amp in _DTYPES:
        # Asked for by name: not to be replaced where the device has something better.
        config.efficiency = {**(config.get('efficiency') or {}), 'bf16': amp == 'bf16'}
        wrapper.type = 'AmpPerParamClipOptimWrapper' if own else 'AmpOptimWrapper'
        wrapper.dtype = _DTYPES[amp]
    else:
        raise ValueError(f"--amp is {amp!r}; choose 'fp16', 'bf16', 'auto' or 'off'")


def precision_of(amp: str) -> str:
    """The precision that ``--amp`` asks for: of 'auto', bf16 where the device computes in it."""
    if amp != 'auto':
        return amp
    modern = not torch.cuda.is_available() or torch.cuda.is_bf16_supported()
    return 'bf16' if modern else 'fp16'


def _prepare_cpu_processes(config: Config, launcher: str) -> None:
    """Several processes without GPUs: mmengine would look for a GPU of each."""
    if launcher != 'pytorch':
        raise ValueError(
            f'--launcher {launcher} needs GPUs; several CPU processes run with --launcher pytorch'
        )
    if not is_distributed():
        torch.distributed.init_process_group('gloo')
    wrapper = config.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=config.get('find_unused_parameters', False),
    )
    config.model_wrapper_cfg = {**wrapper, 'device_ids': None}
    config.sync_bn = None  # synchronised BatchNorm runs on GPUs only


def build_runner(config: Config) -> Runner:
    """Build model, data and optimizer, so that mistakes show before anything has run.

    Raises:
        ValueError: If the batch or the classes do not fit the data or the model, the photos
            their annotations or proposals, or the precision the machine.
    """
    check_precision(config)
    with readable_data(config):
        found = complete_channels(config)
    if found is not None:
        print_log(f'images of {len(found.mean)} channels, {found}', 'current')
    check_exchange(config)
    prepare_efficiency(config)
    runner = local_runner(config)
    with readable_data(config):
        loader = runner.train_loop.dataloader  # builds data set and loader
    batch_size = loader.batch_size
    if len(loader) == 0:
        raise ValueError(
            f'the training data ({len(loader.dataset)} images for {runner.world_size} processes) '
            f'do not fill one batch of {batch_size}; use a smaller batch or more images'
        )
    check_images(loader.dataset)
    model = unwrap_model(runner.model)
    if framework_of(config) is not None:
        check_classes(model, loader.dataset)
    sampler_ends = not isinstance(loader.sampler, InfiniteSampler)
    if getattr(model, 'requires_drop_last', False) and sampler_ends and not loader.drop_last:
        raise ValueError(
            f'{type(model).__name__} keeps a queue of keys that takes whole batches only; set '
            'drop_last=True in train_dataloader'
        )
    if batch_size is not None and hasattr(model, 'check_data'):
        model.check_data(batch_size=batch_size, num_images=len(loader.dataset))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    if framework_of(config) is None:  # mmdet and mmseg set themselves up
        set_up(runner)
    return runner


def train(runner: Runner) -> None:
    """Train and leave a checkpoint however it ends; see :func:`train_and_keep`."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
    with readable_errors(lambda: not any(hook.started for hook in hooks)):
        try:
            train_and_keep(runner)
        except SystemExit:  # stopped by a signal, as all processes agreed
            leave_process_group(runner)
            raise
        except BaseException:
            abandon_process_group(runner)
            raise
        leave_process_group(runner)


def leave_process_group(runner: Runner | None = None) -> None:
    """End communication in order; every process calls it.

    A process that exits while its group, or something that holds it, is alive may be aborted on
    the way out: gloo's threads release the last tensors when Python is already shutting down. The
    launcher then reports a finished run as failed.

    Args:
        runner: Its data-parallel wrapper holds the group, and is taken off the model.
    """
    if is_distributed():
        barrier()
        _destroy_process_group(runner)


def abandon_process_group(runner: Runner | None = None) -> None:
    """End this process's communication after an error, without the others, who may wait in it.

    For the same reason: else the message is followed by the abortion of the process (SIGABRT) and
    that is what the launcher reports. NCCL's groups do not abort, but may wait for others.
    """
    if is_distributed() and torch.distributed.get_backend() == 'gloo':
        _destroy_process_group(runner)


def _destroy_process_group(runner: Runner | None) -> None:
    if runner is not None:
        runner.model = unwrap_model(runner.model)
    gc.collect()  # a wrapper is part of a reference cycle
    torch.distributed.destroy_process_group()


@contextmanager
def readable_errors(applies: Callable[[], Any] = lambda: True) -> Iterator[None]:
    """Turn a mistake of the user into one message and exit code 2, instead of a traceback.

    Args:
        applies: Asked when an error occurs; False lets it pass, unless it is one that can come
            at any time (`plain_sentence`). The environment variable ``MMDSSL_TRACEBACK`` lets all
            errors pass.

    Ctrl-C before training listens for it, or a second one, ends with one word and exit code 130.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        # While mmengine lays out a config it makes a SyntaxError of it, with the whole config.
        laid_out = isinstance(error, SyntaxError) and isinstance(
            error.__context__, KeyboardInterrupt
        )
        if laid_out or isinstance(error, KeyboardInterrupt):
            if _tracebacks():
                raise
            print('interrupted', file=sys.stderr)
            abandon_process_group()
            raise SystemExit(130) from error
        # A full disk or unreadable data are no fault of the code, whenever they show.
        message = plain_sentence(error)
        if message is None and isinstance(error, _USER_ERRORS) and applies():
            message = says_what_happened(error)
        if message is None or _tracebacks():
            raise
        # One line, so that the last line of a log is the whole sentence.
        print(f'error: {message} (traceback: set MMDSSL_TRACEBACK=1)', file=sys.stderr)
        abandon_process_group()
        raise SystemExit(2) from error


def _tracebacks() -> bool:
    """Whether somebody asked for them."""
    return bool(os.environ.get('MMDSSL_TRACEBACK'))
