"""How many images a step takes: what is published, what the data give, what the device holds."""

from collections.abc import Callable

from mmengine.config import Config

from mmdssl.engine.pretraining.decisions import Decisions
from mmdssl.engine.pretraining.machine import Machine

__all__ = ['Measure', 'fitting', 'set_batch']

#: Bytes on the device that a training step of a config needs at a batch.
Measure = Callable[[Config, int], int]

_STEPS = 8  # of an epoch, at least: fewer make queues, statistics and schedules coarse
_LEAST = 8  # images of a step: statistics of a batch, a quarter of it for the branch
_MULTIPLE = 8
_SHARE = 0.85  # of the free memory: steps differ, allocators keep what they have
_PROBES = (8, 16)


def set_batch(
    config: Config,
    asked: int | None,
    *,
    published: int,
    images: int,
    machine: Machine,
    measure: Measure,
    decisions: Decisions,
) -> int:
    """Choose the batch of a process and write it, in place.

    Args:
        config: With its own batch of a process.
        asked: What somebody wants.
        published: Images of a step over all processes that the settings were published for.
        images: Of the data.
        machine: Where it runs.
        measure: Asked where a GPU has to hold the batch.
        decisions: Gets a line.

    Returns:
        Images of a process and step.

    Raises:
        ValueError: If not even the smallest batch fits the device, or the data do not fill one.
    """
    loader = config.train_dataloader
    share = images // machine.processes
    if share < 2:
        raise ValueError(
            f'{images} images for {machine.processes} processes: there are at least two needed '
            'for each'
        )
    if asked is not None:
        if asked > share:
            raise ValueError(
                f'batch={asked}: {images} images for {machine.processes} processes fill no batch '
                f'of it: give at most {share}'
            )
        batch, reason = asked, 'as asked for'
    else:
        if machine.gpu is None:
            batch, reason = loader.batch_size, 'that of the config for a process; no GPU to fill'
        else:
            batch = max(published // machine.processes, 1)
            reason = f'{published} images in all, the published number of a step'
        most = max(share // _STEPS, min(_LEAST, share))
        if batch > most:
            batch, reason = most, f'{images} images then make at least {share // most} steps'
        batch = _whole(batch)
        if machine.gpu is not None:
            held = fitting(lambda size: measure(config, size), machine.gpu_memory, batch)
            if held < batch:
                free = machine.gpu_memory / 1e9
                batch, reason = held, f'what the {free:.0f} GB free on {machine.gpu} hold'
    loader.batch_size = batch
    total = batch * machine.processes
    decisions.add(
        'batch',
        batch if machine.processes == 1 else f'{batch} a process, {total} in all',
        reason,
    )
    return batch


def fitting(measure: Callable[[int], int], memory: int, wanted: int) -> int:
    """The largest batch up to ``wanted`` that fits, from two steps: memory grows with the images.

    Args:
        measure: Bytes of a step at a batch.
        memory: Free bytes.
        wanted: More are not needed.

    Raises:
        ValueError: If the smallest batch does not fit.
    """
    small, large = _PROBES
    room = _SHARE * memory
    if wanted <= small:
        return wanted
    first = measure(small)
    if first > room:
        raise ValueError(
            f'not even {small} images fit the device: a step takes {first / 1e9:.1f} of '
            f'{memory / 1e9:.1f} GB free; give a smaller views.size, backbone or batch'
        )
    each = max(measure(large) - first, 1) / (large - small)
    return min(wanted, _whole(small + int((room - first) / each)))


def _whole(batch: int) -> int:
    return batch if batch < _MULTIPLE else batch // _MULTIPLE * _MULTIPLE
