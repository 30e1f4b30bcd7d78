"""Batch statistics measured exactly before a test, as detectron2's PreciseBN does it.

For detectors that train their BatchNorms (C4 on COCO and VOC): add the hook with
``num_batches=200``; 50 are enough for the CPU-sized configs.

The running averages of BatchNorm mix statistics of older weights. Here the weights stand still:
batches of the training stream pass the model in training mode, losses included, so that the heads
of a detector see the regions as they are sampled in training; then mean and variance over all
values of all these batches replace the averages.
"""

# mmpretrain's hook of this purpose cannot serve detectors: it takes the loader's batch size, which
# mmdet's loaders (grouped by aspect ratio) do not have, starts the loader anew, which closes an
# endless sampler for good, and runs the plain forward, whose mask branch passes the shared head of
# a C4 detector a second time with other regions.

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import IterBasedTrainLoop, Runner
from rich.progress import track
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdssl.engine.resuming import EXTRA_BATCHES_KEY
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.models.utils.collectives import all_reduce
from mmdssl.registry import HOOKS

__all__ = ['PreciseBatchNormHook', 'measure_batch_statistics']


class _Statistics:
    """Mean and variance of all values that one BatchNorm sees, however often it is called."""

    def __init__(self, layer: _BatchNorm) -> None:
        buffers = dict(layer.named_buffers(recurse=False))
        self.running = (buffers['running_mean'], buffers['running_var'])
        self.before = [buffer.clone() for buffer in self.running]
        self.count = torch.zeros((), dtype=torch.float64, device=self.before[0].device)
        self.mean = torch.zeros_like(self.before[0], dtype=torch.float64)
        self.square = torch.zeros_like(self.mean)
        self.layer, self.momentum = layer, layer.momentum
        layer.momentum = 1.0  # the running statistics are those of the last call then
        self.handle = layer.register_forward_hook(self._add)

    def _add(self, layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        values = inputs[0].numel() / inputs[0].shape[1]  # per channel
        mean, variance = (buffer.double() for buffer in self.running)
        self.count += values
        self.mean += values * mean
        self.square += values * (variance + mean.square())

    def _set(self, values: Sequence[Tensor]) -> None:
        for buffer, value in zip(self.running, values, strict=True):
            buffer.copy_(value)

    def close(self) -> None:
        """Leave the layer as it was."""
        self.handle.remove()
        self.layer.momentum = self.momentum
        self._set(self.before)

    def apply(self) -> None:
        """Sum over processes and write; a layer that saw nothing keeps what it had."""
        for total in (self.count, self.mean, self.square):
            all_reduce(total)
        if self.count > 0:
            mean = self.mean / self.count
            self._set((mean, (self.square / self.count - mean.square()).clamp(min=0)))


@torch.no_grad()
def measure_batch_statistics(model: BaseModel, batches: Iterable[Mapping[str, Any]]) -> int:
    """Set the running statistics of all BatchNorms in training mode to those of ``batches``.

    The variance is that of all values together: the mean of the batches' (unbiased) variances
    plus the variance of their means, each batch weighed by its number of values.

    Args:
        model: In training mode. Frozen norms (in evaluation mode) stay as they are.
        batches: As the loader gives them, before the data preprocessor; on every process as
            many.

    Returns:
        Number of layers measured.
    """
    layers = [
        _Statistics(layer)
        for layer in model.modules()
        if isinstance(layer, _BatchNorm) and layer.training and layer.track_running_stats
    ]
    try:
        for batch in batches:
            model(**model.data_preprocessor(batch, True), mode='loss')
    finally:
        for layer in layers:
            layer.close()
    for layer in layers:
        layer.apply()
    return len(layers)


@HOOKS.register_module()
class PreciseBatchNormHook(Hook):
    """Measures the statistics of all BatchNorms every ``interval`` iterations.

    It runs before the validation and the checkpoint of the same iteration, and takes the next
    ``num_batches`` batches of the training stream, in the precision of the training.

    Args:
        num_batches: Batches to measure on; detectron2: 200.
        interval: Iterations between measurements; usually those of the whole run.

    Raises:
        ValueError: If a number is below 1; before the training, if it runs by epochs.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, *, num_batches: int = 200, interval: int) -> None:
        if num_batches < 1 or interval < 1:
            raise ValueError(
                'PreciseBatchNormHook: num_batches and interval are at least 1, not '
                f'{num_batches} and {interval}'
            )
        self.num_batches, self.interval = num_batches, interval

    def before_train(self, runner: Runner) -> None:
        """Refuse runs by epochs, whose loader cannot be taken from in between."""
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError(
                'PreciseBatchNormHook works in runs by iterations: use '
                "train_cfg=dict(type='IterBasedTrainLoop', ...) or remove it from custom_hooks"
            )

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Measure, where it is time to."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        stream = islice(runner.train_loop.dataloader_iterator, self.num_batches)
        shown = track(stream, 'statistics', self.num_batches, disable=not is_main_process())
        model = unwrap_model(runner.model)
        with runner.optim_wrapper.optim_context(runner.model):
            layers = measure_batch_statistics(model, shown)
        # A run that resumes behind this point goes on behind these batches, too.
        hub = runner.message_hub
        hub.update_info(
            EXTRA_BATCHES_KEY, (hub.get_info(EXTRA_BATCHES_KEY) or 0) + self.num_batches
        )
        runner.logger.info(
            f'Statistics of {layers} BatchNorms measured on {self.num_batches} batches'
        )
