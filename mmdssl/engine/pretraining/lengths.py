"""What follows from the batch and the number of images: rate, epochs, warm-up, queue."""

from typing import Any

from mmengine.config import Config

from mmdssl.engine.pretraining.decisions import Decisions

__all__ = ['set_length', 'set_queue', 'set_rate']

#: Images of the data that the papers count their epochs on, COCO train2017.
PUBLISHED_IMAGES = 118287
# Methods whose papers do not scale the rate with the batch.
_CONSTANT_RATE = ('Leopart', 'NeCo')
# Methods whose queue need not end with a step.
_ANY_LENGTH = ('Leopart', 'NeCo')
# A warm-up takes no larger part of a run than this, or than its published part.
_WARM_UP = 0.1
# Below this length a run is a rehearsal, in which no layer waits for the others.
_FEW_EPOCHS = 10


def set_rate(
    config: Config, asked: float | None, *, reference: int, total: int, decisions: Decisions
) -> None:
    """The learning rate for the batch that is used, in place.

    Args:
        config: With the rate of its own batch.
        asked: The rate that somebody wants.
        reference: Images of a step that the rate of the config is for.
        total: Images of a step of this run, over all processes.
        decisions: Gets a line.
    """
    optimizer = config.optim_wrapper.optimizer
    base, kind = optimizer.lr, config.model.type.removeprefix('mmdssl.')
    if asked is not None:
        optimizer.lr = asked
        decisions.add('lr', f'{asked:g}', 'as asked for')
    elif kind in _CONSTANT_RATE:
        decisions.add('lr', f'{base:g}', f'{kind} does not scale it with the batch')
    elif total == reference:
        decisions.add('lr', f'{base:g}', f'that of the config for {reference} images a step')
    else:
        optimizer.lr = float(f'{base * total / reference:.6g}')
        decisions.add(
            'lr',
            f'{optimizer.lr:g}',
            f'{base:g} at {reference} images a step, in proportion to {total}',
        )


def set_length(
    config: Config,
    asked: int | None,
    *,
    images: int,
    reference: int,
    total: int,
    decisions: Decisions,
) -> None:
    """Epochs or iterations, and the warm-ups in them, in place.

    Args:
        config: With its own length.
        asked: Epochs that somebody wants.
        images: Of the data.
        reference: Images of a step of the config.
        total: Images of a step of this run.
        decisions: Gets lines.
    """
    steps = max(images // total, 1)  # of an epoch
    length = config.train_cfg
    if 'max_epochs' in length:
        was = length.max_epochs
        longer = images > PUBLISHED_IMAGES
        epochs = asked or (max(round(was * PUBLISHED_IMAGES / images), 1) if longer else was)
        length.max_epochs = epochs
        if asked is not None:
            reason = 'as asked for'
        elif longer:
            reason = f'as many images as {was} epochs of the published {PUBLISHED_IMAGES}'
        else:
            reason = f'each of the {images} images as often as published'
        decisions.add('epochs', epochs, f'{reason}; {epochs * steps} iterations')
        _warm_up(config, was=was, now=epochs, unit='epochs', decisions=decisions)
        return
    was = length.max_iters
    now = asked * steps if asked else max(-(-was * reference // total), 1)
    length.max_iters = now
    if asked:
        reason = f'as asked for; {now} iterations'
    else:
        reason = f'{now} iterations, as many images as the config has'
    decisions.add('epochs', asked or f'{now / steps:.3g}', reason)
    _warm_up(config, was=was, now=now, unit='iters', decisions=decisions)


def _warm_up(config: Config, *, was: int, now: int, unit: str, decisions: Decisions) -> None:
    """Shorten what happens at the beginning to the length of the run; nothing is lengthened."""

    def shortened(length: float) -> float:
        return round(min(length, max(length / was, _WARM_UP) * now), 3)

    before = after = 0.0
    for schedule in config.get('param_scheduler') or ():
        if schedule.get(f'warmup_{unit}'):
            before = schedule[f'warmup_{unit}']
            after = shortened(before) if unit == 'epochs' else int(shortened(before))
            schedule[f'warmup_{unit}'] = after
    waits = ''
    if unit == 'epochs':
        loss = config.model.get('loss') or {}
        if loss.get('warmup_epochs'):  # the first epoch has the first temperature
            loss['warmup_epochs'] = max(round(shortened(loss['warmup_epochs'])), 1)
        freeze = config.optim_wrapper.get('freeze')
        if freeze and now < _FEW_EPOCHS:
            freeze['epochs'] = 0
            waits = f'; no epoch in which {freeze["keys"][0]} waits'
    if before:
        reason = 'that of the config' if after == before else f'was {before:g}, of {was} {unit}'
        decisions.add('warm-up', f'{after:g} {unit}', reason + waits)


def set_queue(config: Config, *, images: int, total: int, decisions: Decisions) -> None:
    """The length of the queue of keys, where the method has one, in place.

    Args:
        config: With its own length.
        images: Of the data: a queue that outlives an epoch holds the images it is to tell apart.
        total: Images of a step; the length is a multiple of their keys.
        decisions: Gets a line.
    """
    model = config.model
    keys = _keys_per_image(model)
    if keys is None or model.get('queue_length', 1) == 0:
        return
    was = model.get('queue_length') or (8192 if model.type == 'Leopart' else 65536)
    available, a_step = images * keys, total * keys
    length = min(was, available)
    if model.type.removeprefix('mmdssl.') not in _ANY_LENGTH:
        length = max(length // a_step, 1) * a_step
    model.queue_length = length
    if length == was:
        reason = 'that of the config'
    elif available < was:
        reason = f'what {images} images fill in an epoch, {a_step} a step (was {was})'
    else:
        reason = f'whole steps of {a_step} (was {was})'
    decisions.add('queue', length, reason)


def _keys_per_image(model: Any) -> int | None:
    """What an image adds to the queue of a method."""
    kind = model.type.removeprefix('mmdssl.')
    if kind in ('DenseCL', 'PLRC', 'ReSim'):
        return 1
    if kind == 'D3SSL':
        return 2 * model.get('num_boxes', 4)
    if kind == 'Leopart' or (kind == 'NeCo' and model.get('queue_length')):
        return model.get('queue_per_image', 10)
    return None
