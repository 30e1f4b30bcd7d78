"""All decisions of a run, in order: each sees what was decided before it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmdssl.engine.branch_masks import with_branch_masks
from mmdssl.engine.config import load_config
from mmdssl.engine.launch import set_precision
from mmdssl.engine.loggers import add_logger, require_logger
from mmdssl.engine.options import read_options
from mmdssl.engine.pretraining.backbones import choose, exchange_backbone
from mmdssl.engine.pretraining.batches import Measure, set_batch
from mmdssl.engine.pretraining.catalogue import parsed
from mmdssl.engine.pretraining.decisions import Decisions
from mmdssl.engine.pretraining.device_memory import memory_of_step
from mmdssl.engine.pretraining.inputs import (
    Make,
    set_channels,
    set_images,
    set_measured,
    set_proposals,
    set_start,
)
from mmdssl.engine.pretraining.lengths import set_length, set_queue, set_rate
from mmdssl.engine.pretraining.machine import Machine
from mmdssl.engine.pretraining.request import Request
from mmdssl.engine.pretraining.start_weights import Start, look_at_start
from mmdssl.engine.pretraining.views import set_view_size

__all__ = ['CONFIG_NAME', 'Resolved', 'resolve']

#: Name of the resolved config in the folder of a run.
CONFIG_NAME = 'config.py'

_MOST_WORKERS = 16
_SHORT = 50  # iterations; a shorter run keeps no checkpoint on its way
_PARTS = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')


@dataclass
class Resolved:
    """A config that is ready to be trained.

    Attributes:
        config: With every decision in it, and in words under ``decisions``.
        decisions: What was decided.
    """

    config: Config
    decisions: Decisions = field(default_factory=Decisions)


def resolve(
    request: Request,
    machine: Machine,
    *,
    measure: Measure = memory_of_step,
    make: Make | None = None,
) -> Resolved:
    """Turn a request into a config.

    Args:
        request: What is asked for.
        machine: What it runs on.
        measure: Bytes of a training step, asked where a GPU has to hold the batch.
        make: Makes proposals; default: the search of this package.

    Raises:
        FileNotFoundError: If a file or folder is missing.
        ValueError: If something asked for makes no sense.
    """
    decisions = Decisions()
    if request.log is not None:
        require_logger(request.log)  # before proposals are searched
    start = None
    if request.init not in (None, 'random', 'given'):
        start = look_at_start(str(request.init))
    config, published = _begin(request, machine, decisions, start)
    entries = _read_entries(config, request.entries)
    config.merge_from_dict(entries)
    photos = set_images(config, request, decisions)
    set_measured(config, request, decisions)
    set_channels(config, decisions)
    set_view_size(config, request.view_size, photos, decisions)
    set_start(config, request, decisions, start)
    set_proposals(
        config, photos, request.proposals, machine=machine, decisions=decisions, make=make
    )
    set_precision_for(config, request.precision, machine, decisions)
    own = config.train_dataloader.batch_size
    reference = published * own
    batch = set_batch(
        config,
        request.batch,
        published=reference,
        images=photos.count,
        machine=machine,
        measure=measure,
        decisions=decisions,
    )
    total = batch * machine.processes
    set_rate(config, request.lr, reference=reference, total=total, decisions=decisions)
    set_length(
        config,
        request.epochs,
        images=photos.count,
        reference=reference,
        total=total,
        decisions=decisions,
    )
    set_queue(config, images=photos.count, total=total, decisions=decisions)
    set_workers(config, request.workers, machine, decisions)
    _set_intervals(config, steps=max(photos.count // total, 1))
    if request.log is not None:
        add_logger(config, request.log, request.out or 'run')
        decisions.add('log', request.log, 'as asked for, besides the folder of the run')
    if request.seed is not None:
        config.randomness = {**(config.get('randomness') or {}), 'seed': request.seed}
    if entries:
        config.merge_from_dict(entries)  # what is typed has the last word
        shown = ', '.join(f'{key}={value}' for key, value in request.entries.items())
        decisions.add('entries', shown, 'as asked for, whatever stands above')
    config = with_branch_masks(config)
    config.decisions = decisions.as_config()
    if request.out is not None:
        config.work_dir = str(request.out)
    where = str((request.out or Path()) / CONFIG_NAME)
    # The text is what mmengine would read from a file that is not there yet.
    return Resolved(Config(config.to_dict(), cfg_text='#', filename=where), decisions)


def _begin(
    request: Request, machine: Machine, decisions: Decisions, start: Start | None
) -> tuple[Config, int]:
    """The config to begin with, and the processes that its batch was published for."""
    file = request.config_file
    if file is None:
        shipped, other = choose(request.method, request.backbone, machine, decisions, start)
        config = load_config(shipped.path)
        if other is not None:
            exchange_backbone(config, other)
        return config, shipped.processes
    if request.backbone is not None:
        raise ValueError(
            f'backbone={request.backbone}: a config file has its own; set it there, or name a '
            'method instead'
        )
    config = load_config(file)
    for part in _PARTS:
        if config.get(part) is None:
            raise ValueError(f'{file}: no {part}; this is not a training config')
    said = parsed(file)
    reason = 'as asked for' + (f', made for {said.processes} processes' if said else '')
    decisions.add('config', file, reason)
    return config, said.processes if said else 1


def _read_entries(config: Config, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries with the values that their characters mean; unknown ones are refused.

    Raises:
        ValueError: If the config has no such entry.
    """
    runs = signature(Runner.__init__).parameters
    for key, value in entries.items():
        first = key.split('.')[0]
        if first not in config and first not in runs and first != 'efficiency':
            near = get_close_matches(first, [str(name) for name in config], n=1, cutoff=0.75)
            hint = f': is {near[0]} meant?' if near else ''
            raise ValueError(
                f'{key}={value}: neither an option of mmdssl pretrain nor an entry of the config'
                f'{hint}'
            )
    return read_options(config, entries)


def set_precision_for(
    config: Config, asked: str | None, machine: Machine, decisions: Decisions
) -> None:
    """bf16 where the device computes in it, in place."""
    half = config.optim_wrapper.get('type', '').startswith('Amp')
    if asked is not None:
        chosen, reason = asked, 'as asked for'
    elif machine.gpu is None:
        chosen, reason = 'fp32', 'a CPU gains nothing by less'
    elif machine.bf16:
        chosen, reason = 'bf16', f'{machine.gpu} computes in it, with the range of float32'
    elif half:
        chosen, reason = 'fp16', f'as published; {machine.gpu} has no bfloat16'
    else:
        chosen, reason = 'fp32', f'as published; {machine.gpu} has no bfloat16'
    if chosen != 'fp32' or half:
        set_precision(config, 'off' if chosen == 'fp32' else chosen)
    decisions.add('precision', chosen, reason)


def set_workers(config: Config, asked: int | None, machine: Machine, decisions: Decisions) -> None:
    """Loader processes by cores, in place."""
    loader = config.train_dataloader
    if asked is not None:
        workers, reason = asked, 'as asked for'
    elif machine.gpu is None:
        workers = max(min(machine.cores // 2, _MOST_WORKERS), 1)
        reason = f'half of the cores ({machine.cores}), the others compute'
    else:
        workers = max(min(machine.cores, _MOST_WORKERS), 1)
        reason = f'one for each core of this process ({machine.cores}), {_MOST_WORKERS} at most'
    loader.num_workers = workers
    loader.persistent_workers = workers > 0
    loader.pin_memory = machine.gpu is not None
    stated = dict(workers=workers, pin_memory=loader.pin_memory)
    config.efficiency = {**(config.get('efficiency') or {}), **stated}
    if not workers:
        loader.pop('prefetch_factor', None)
    decisions.add('workers', workers, reason)


def _set_intervals(config: Config, *, steps: int) -> None:
    """A short run reports and saves more often, in place.

    Args:
        config: With the length of the run.
        steps: Iterations of an epoch.
    """
    by_epoch = 'max_epochs' in config.train_cfg
    epochs = config.train_cfg.get('max_epochs', 1)
    whole = steps * epochs if by_epoch else config.train_cfg.max_iters
    hooks = config.default_hooks
    each = min(steps, whole) if by_epoch else whole
    hooks.logger.interval = min(hooks.logger.get('interval', 50), max(each // 10, 1))
    checkpoint = hooks.checkpoint
    if checkpoint.get('by_epoch', True) and by_epoch:
        checkpoint.interval = min(checkpoint.get('interval', 10), max(epochs // 10, 1))
    else:
        checkpoint.interval = whole // 5 if whole >= _SHORT else -1  # -1: the end alone
    for hook in config.custom_hooks:
        if hook['type'] == 'RepresentationHealthHook':
            hook['interval'] = min(50, max(whole // 10, 10))
        elif hook['type'] == 'ObjectKNNHook':
            hook['by_epoch'] = by_epoch
            hook['interval'] = max((epochs if by_epoch else whole) // 10, 1)
