"""The ``efficiency`` block of a config: what it may hold, and how a run is set up by it."""

import gc
import importlib.util
from dataclasses import dataclass, fields
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn

from mmdssl.engine.efficiency.compiled_blocks import compile_blocks
from mmdssl.engine.efficiency.device_prefetch import DevicePrefetcher
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.models.data_preprocessors.multiview import MultiViewPreprocessor

__all__ = ['Efficiency', 'prepare_efficiency', 'set_up', 'with_efficiency']

_OWN_AMP = 'AmpPerParamClipOptimWrapper'
_FUSED = ('Adam', 'AdamW', 'SGD')


@dataclass(frozen=True)
class Efficiency:
    """Settings that change the speed of a run, and its results by rounding at most.

    Each is ``True``, ``False`` or, by default, ``None``: on where it is known to pay. What belongs
    to the training loader and the preprocessor is written there when a config is read
    (:func:`with_efficiency`), and says nothing where it is ``None``.

    Attributes:
        workers: Processes of the training loader, kept over epochs; a number.
        pin_memory: Batches lie in memory that a GPU copies from without waiting.
        channels_last: Images in the memory format that convolutions prefer.
        sdpa: Fused kernels of torch for attention; False computes it step by step. Default: on.
        bf16: Autocast in bfloat16 where a config asks for float16: the same speed, the range of
            float32, no loss scaling. Default: on GPUs that compute in it, unless ``--amp fp16``
            was given.
        compile: Compile transformer blocks one by one. Default: on GPUs, where Triton is there.
        prefetch: Copy the next batch during a step. Default: on GPUs, where the loader has
            workers.
        fused_optimizer: One kernel for an optimizer step. Default: on GPUs.
        tf32: Matrix products of float32 on tensor cores, with 10 bits of mantissa. Default: on
            GPUs. Nothing changes for what runs under autocast, nor for evaluation metrics, which
            compute in float32 on the CPU.
        cudnn_benchmark: Try several algorithms for each convolution. Default: on GPUs.
        freeze_gc: Leave all that is built before training out of Python's garbage collection.
            Default: on.
    """

    workers: int | None = None
    pin_memory: bool | None = None
    channels_last: bool | None = None
    sdpa: bool | None = None
    bf16: bool | None = None
    compile: bool | None = None
    prefetch: bool | None = None
    fused_optimizer: bool | None = None
    tf32: bool | None = None
    cudnn_benchmark: bool | None = None
    freeze_gc: bool | None = None

    @staticmethod
    def of(config: Config) -> 'Efficiency':
        """The block of a config, with defaults where it says nothing.

        Raises:
            ValueError: If an entry is unknown or neither True, False nor None; ``workers``: if it
                is no number from 0.
        """
        given = dict(config.get('efficiency') or {})
        known = [field.name for field in fields(Efficiency)]
        for name, value in given.items():
            if name not in known:
                raise ValueError(f'efficiency has no {name!r}; it knows {", ".join(known)}')
            if name == 'workers':
                if value is not None and (not isinstance(value, int) or value < 0):
                    raise ValueError(f'efficiency.workers is {value!r}; give 0 or more processes')
            elif value not in (True, False, None):
                raise ValueError(f'efficiency.{name} is {value!r}; give True, False or None')
        return Efficiency(**given)


def with_efficiency(config: Config) -> Config:
    """Write the entries of loader and preprocessor where they are read, in place.

    Returns:
        The same config.
    """
    settings = Efficiency.of(config)
    loader = config.get('train_dataloader')
    if loader is not None:
        if settings.workers is not None:
            loader.update(num_workers=settings.workers, persistent_workers=settings.workers > 0)
        if settings.pin_memory is not None:
            loader.pin_memory = settings.pin_memory
    preprocessor = (config.get('model') or {}).get('data_preprocessor')
    if settings.channels_last is not None and preprocessor is not None:
        preprocessor.channels_last = settings.channels_last
    return config


def prepare_efficiency(config: Config) -> None:
    """Write into a config what has to be there before the optimizer is built, in place."""
    settings = Efficiency.of(config)
    if not torch.cuda.is_available():
        return
    wrapper = config.optim_wrapper
    optimizer = wrapper.get('optimizer') or {}
    fuses = optimizer.get('type') in _FUSED and not optimizer.get('foreach')
    if settings.fused_optimizer is not False and fuses:
        optimizer.setdefault('fused', True)
    half = wrapper.get('type') == _OWN_AMP and wrapper.get('dtype') == 'float16'
    if half and _wanted(settings.bf16, torch.cuda.is_bf16_supported()):
        wrapper.dtype = 'bfloat16'
        wrapper.pop('loss_scale', None)
        print_log('efficiency: bfloat16 instead of float16 (--amp fp16 keeps it)', logger='current')


def set_up(runner: Runner) -> list[str]:
    """Set a built runner up for speed; before training starts.

    Returns:
        What was switched on, in words; also logged in one line.
    """
    settings = Efficiency.of(runner.cfg)
    on_gpu = torch.cuda.is_available()
    model = unwrap_model(runner.model)
    done = []
    if _wanted(settings.tf32, on_gpu):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        done.append('TF32')
    if _wanted(settings.cudnn_benchmark, on_gpu and _convolves(model)):
        torch.backends.cudnn.benchmark = True
        done.append('cudnn.benchmark')
    if settings.sdpa is False:
        for kernel in ('flash', 'mem_efficient', 'cudnn'):
            getattr(torch.backends.cuda, f'enable_{kernel}_sdp')(False)
        done.append('attention step by step')
    if _wanted(settings.compile, on_gpu and importlib.util.find_spec('triton') is not None):
        count = compile_blocks(model)
        if count:
            done.append(f'{count} blocks compiled')
    if _wanted(settings.prefetch, on_gpu) and _prefetch(runner, model.data_preprocessor):
        done.append('batches prefetched to the device')
    if _wanted(settings.freeze_gc, True):
        gc.collect()
        gc.freeze()
        done.append('garbage collection spares what is built')
    print_log(f'efficiency: {", ".join(done) or "nothing switched on"}', logger='current')
    return done


def _wanted(setting: bool | None, default: bool) -> bool:
    return default if setting is None else setting


def _convolves(model: nn.Module) -> bool:
    """Whether convolutions are a good part of the work: more than a patch embedding or two."""
    return sum(isinstance(module, nn.Conv2d) for module in model.modules()) > 8


def _prefetch(runner: Runner, preprocessor: Any) -> bool:
    loop = runner.train_loop
    loader = loop.dataloader
    if not isinstance(preprocessor, MultiViewPreprocessor) or not torch.cuda.is_available():
        return False
    # Without workers a batch made ahead would draw its random numbers before this step's.
    if not getattr(loader, 'num_workers', 0) or not loader.pin_memory:
        return False
    if isinstance(loop, EpochBasedTrainLoop):
        loop.dataloader = DevicePrefetcher(loader, preprocessor)
        return True
    if isinstance(loop, IterBasedTrainLoop):
        loop.dataloader = DevicePrefetcher(loader, preprocessor)
        loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)
        return True
    return False
