"""What is kept of a step until it is known to be finite, and written down if it is not."""

import json
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdssl.core.checkpointing import atomic_save, atomic_text, to_plain
from mmdssl.datasets.transforms.random_streams import streams_state
from mmdssl.engine.random_state import capture_random_state, restore_random_state
from mmdssl.engine.unwrap import unwrap_model

__all__ = ['RandomMoment', 'StepRecord', 'image_names', 'norms_by_module', 'replay', 'write_dump']


class RandomMoment:
    """All random states of this process as they are now, in microseconds."""

    def __init__(self) -> None:
        self._python, self._numpy = random.getstate(), np.random.get_state(legacy=False)
        self._torch = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        self._streams = streams_state()

    def plain(self) -> dict[str, Any]:
        """As :func:`capture_random_state` would have given them; all draws go on as before."""
        now = RandomMoment()
        self._set()
        state = capture_random_state()
        now._set()
        return dict(state, streams=self._streams)

    def _set(self) -> None:
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state(self._cuda)


@dataclass
class StepRecord:
    """One step.

    Attributes:
        iteration: Of its last batch, from 0.
        epoch: From 0.
        moment: Random states before its first batch.
        batches: As the loader gave them.
        gradient_names: Parameters that had gradients.
        gradient_norms: Their L2 norms (P,), on the device.
    """

    iteration: int
    epoch: int
    moment: RandomMoment
    batches: list[Any] = field(default_factory=list)
    gradient_names: list[str] = field(default_factory=list)
    gradient_norms: Tensor = field(default_factory=lambda: torch.zeros(0))

    def images(self) -> list[str]:
        """Paths of its images, or what else names them."""
        return [name for batch in self.batches for name in image_names(batch)]

    def gradients(self) -> dict[str, float]:
        """L2 norm of the gradients by module; waits for the device."""
        return norms_by_module(self.gradient_names, self.gradient_norms.tolist())


def image_names(batch: Any) -> list[str]:
    """Paths of a batch's images; their numbers in the data set where it holds no paths."""
    if not isinstance(batch, Mapping):
        return []
    names = [
        str(sample.get('img_path', f'sample {sample.get("sample_idx", "?")}'))
        for sample in batch.get('data_samples') or []
        if hasattr(sample, 'get')
    ]
    if names:
        return names
    for key in ('img_path', 'sample_idx', 'index'):
        found = batch.get(key)
        if found is not None:
            values = found.tolist() if isinstance(found, Tensor) else found
            return [str(value) if key == 'img_path' else f'sample {value}' for value in values]
    return []


def norms_by_module(names: Iterable[str], norms: Iterable[float]) -> dict[str, float]:
    """L2 norms of parameters, put together by the module that holds them."""
    squares: dict[str, float] = {}
    for name, norm in zip(names, norms, strict=True):
        module = name.rpartition('.')[0]
        squares[module] = squares.get(module, 0.0) + norm * norm
    return {module: math.sqrt(square) for module, square in squares.items()}


def write_dump(
    record: StepRecord, model: nn.Module, *, path: Path, sentence: str, values: dict[str, float]
) -> list[str]:
    """Write what reproduces a step, beside a readable ``.json``.

    Args:
        record: The step.
        model: The model in the state from before the step; its norms are written, its weights
            are those of the run's last checkpoint.
        path: Of the ``.pth``, for :func:`replay`.
        sentence: What happened.
        values: Numbers of the step.

    Returns:
        Entries of the batches that are no plain data and are left out.
    """
    model = unwrap_model(model)
    clock = getattr(model, 'clock', None)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    floats = {name: value for name, value in tensors.items() if value.is_floating_point()}
    norms = [float(value.detach().norm()) for value in floats.values()]
    facts: dict[str, Any] = dict(
        sentence=sentence,
        iteration=record.iteration,
        epoch=record.epoch,
        values=values,
        images=record.images(),
        gradient_norms=record.gradients(),
        state_norms=norms_by_module(floats, norms),
    )
    dropped: list[str] = []
    everything = dict(
        facts,
        random_state=record.moment.plain(),
        batches=to_plain(record.batches, path='batches', dropped=dropped),
        clock=None
        if clock is None
        else dict(
            iteration=record.iteration,
            max_iterations=clock.max_iterations,
            iterations_per_epoch=clock.iterations_per_epoch,
        ),
    )
    atomic_save(everything, path)
    atomic_text(json.dumps(_readable(facts), indent=2) + '\n', path.with_suffix('.json'))
    return dropped


def replay(model: nn.Module, dump: Mapping[str, Any]) -> list[dict[str, float]]:
    """Run the forward passes of a dumped step again.

    Args:
        model: The model in training mode with the weights of the checkpoint that the run left;
            under autocast if the run was.
        dump: What ``load_checkpoint_file`` reads of a dump's ``.pth``.

    Returns:
        The losses of each batch.
    """
    model = unwrap_model(model)
    host: Any = model
    restore_random_state(dict(dump['random_state']))
    if dump['clock'] is not None:
        host.clock.set(**dump['clock'])
    found = []
    for batch in dump['batches']:
        losses = host(**host.data_preprocessor(batch, True), mode='loss')
        found.append({name: float(value.detach()) for name, value in losses.items()})
    return found


def _readable(value: Any) -> Any:
    """Numbers that JSON does not know as words."""
    if isinstance(value, dict):
        return {key: _readable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_readable(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
