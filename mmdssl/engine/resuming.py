"""Whether a checkpoint fits the run that resumes from it, and where in the run it stands."""

import os
from pathlib import PurePath
from typing import Any

import torch
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmdssl.core.checkpointing import to_plain
from mmdssl.core.clock import EPOCH_LENGTH_KEY
from mmdssl.core.newest import RUN_PARTS
from mmdssl.engine.unwrap import unwrap_model

__all__ = ['EXTRA_BATCHES_KEY', 'fit_to_run', 'is_epoch_based']

#: Entry of the message hub, and so of checkpoints: training batches taken by others than the loop.
EXTRA_BATCHES_KEY = 'extra_train_batches'


def is_epoch_based(runner: Runner) -> bool:
    """Whether the training loop counts epochs (and not iterations only)."""
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def fit_to_run(checkpoint: dict, runner: Runner) -> None:
    """Check a checkpoint against the run, and move its position to the run's epoch length.

    An epoch of 8 processes has an eighth of the iterations that one process needs.
    The iteration is moved so that the fraction of the run stays; schedules do the
    same (:class:`WarmupCosine`).

    Args:
        checkpoint: An unpacked checkpoint; ``meta`` is changed in place.
        runner: The runner about to resume.

    Raises:
        ValueError: If the file holds no run, or one of another model.
    """
    if not checkpoint.keys() >= RUN_PARTS:
        raise ValueError(
            'the checkpoint to resume from holds no run, only weights; start a new run from them '
            'with load_from'
        )
    _check_weights(checkpoint['state_dict'], unwrap_model(runner.model).state_dict())
    meta = checkpoint['meta']
    length, old_length = len(runner.train_dataloader), meta.get(EPOCH_LENGTH_KEY)
    if is_epoch_based(runner) and old_length and old_length != length:
        iterations = round(meta['iter'] / old_length * length)
        runner.logger.info(
            f'An epoch had {old_length} iterations and now has {length}: iteration {meta["iter"]} '
            f'becomes {iterations}'
        )
        meta['iter'] = iterations
    # mmengine compares pickled bytes, which differ for equal data: compared here, and then given
    # back as it is now.
    own = getattr(runner.train_dataloader.dataset, 'metainfo', None)
    differences = _differences(meta.get('dataset_meta'), own)
    if differences:
        runner.logger.warning(
            'The metainfo of the training data is not that of the checkpoint: '
            f'{"; ".join(differences)}. Resume with the data that the run was started with'
        )
    meta['dataset_meta'] = own


def _check_weights(saved: dict, own: dict) -> None:
    missing, surplus = sorted(own.keys() - saved.keys()), sorted(saved.keys() - own.keys())
    if missing or surplus:
        raise ValueError(
            f'cannot resume: the checkpoint is of another model; it lacks {len(missing)} entries '
            f'(such as {missing[:2]}) and has {len(surplus)} too many (such as {surplus[:2]}); '
            'use the config the run was started with'
        )


def _differences(saved: Any, own: Any) -> list[str]:
    """Entries of the data's description that changed, as sentences.

    Checkpoints hold no folders of the machine, so of a path only its last part is compared.
    """
    then, now = (_comparable(to_plain(value or {}, dropped=[])) for value in (saved, own))
    if not (isinstance(then, dict) and isinstance(now, dict)):
        return [] if then == now else [f'{_short(then)} became {_short(now)}']
    return [
        f'{name} was {_short(then.get(name))} and is {_short(now.get(name))}'
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    ]


def _comparable(value: Any) -> Any:
    """Without what saving changes: kinds of sequences, arrays, folders of paths."""
    if isinstance(value, dict):
        return {str(key): _comparable(entry) for key, entry in value.items()}
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_comparable(entry) for entry in value]
    return PurePath(value).name if isinstance(value, str) and os.sep in value else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
