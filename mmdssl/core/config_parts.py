"""Parts of a config made from those of its base: the same steps at another size, say.

A config cannot change a number inside a pipeline of its base, because a list replaces a list.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ['MASKS', 'changed', 'with_masks']

#: Steps of a pipeline that make a mask, or regions for one.
MASKS = (
    'BlockwiseMask',
    'GridRegions',
    'ProposalCutout',
    'RandomPatchMask',
    'RectangleForeground',
    'RegionCollaborativeCutout',
    'SquareCutout',
)
_OF_REGIONS = ('ProposalCutout', 'RegionCollaborativeCutout')


def changed(part: Any, changes: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Any:
    """A copy of a part of a config with other arguments in some of its dicts.

        changed(_base_.pipeline, [(dict(size=224), dict(size=128, scale=(0.3, 1.0)))])

    Args:
        part: Of a config: dicts, lists and tuples in each other, and values.
        changes: Pairs (which, new): each dict that holds all entries of ``which`` gets those of
            ``new``, whatever other pairs have changed in it.

    Returns:
        The copy; ``part`` stays as it is. A pair that finds no dict changes nothing.
    """
    changes = tuple(changes)
    if isinstance(part, Mapping):
        copy = {key: changed(value, changes) for key, value in part.items()}
        for which, new in changes:
            if all(key in part and part[key] == value for key, value in which.items()):
                copy.update(new)
        return copy
    if isinstance(part, (list, tuple)):
        return type(part)(changed(entry, changes) for entry in part)
    return part


def with_masks(part: Any, key: str, made_by: Sequence[Mapping[str, Any]]) -> Any:
    """A copy of a pipeline in which other steps make a mask, wherever in it the mask is made.

        with_masks(_base_.decoupled_pipeline, 'dc_mask', [dict(type='BlockwiseMask', ratio=0.4)])

    Args:
        part: Nested configs of transforms; it stays as it is.
        key: Name of the mask, ``'mask'`` or ``'dc_mask'``.
        made_by: The mask's step, behind those that make its regions, if it needs any. They get
            name, size and random stream of the mask that they replace.

    Raises:
        ValueError: If the pipeline makes no such mask.
    """
    copy, found = _with_masks(part, key, made_by)
    if not found:
        raise ValueError(f'the pipeline makes no mask {key!r} that could be made otherwise')
    return copy


def _with_masks(part: Any, key: str, made_by: Sequence[Mapping[str, Any]]) -> tuple[Any, int]:
    """The copy, and how many masks were replaced in it."""
    if isinstance(part, Mapping):
        inner = {name: _with_masks(value, key, made_by) for name, value in part.items()}
        copy = {name: value for name, (value, _) in inner.items()}
        return copy, sum(count for _, count in inner.values())
    if not isinstance(part, (list, tuple)):
        return part, 0
    entries = [_with_masks(entry, key, made_by) for entry in part]
    steps, found = [entry for entry, _ in entries], sum(count for _, count in entries)
    if all(isinstance(step, Mapping) and 'type' in step for step in steps):
        old = next((s for s in steps if s['type'] in MASKS and s.get('key', 'mask') == key), None)
        if old is not None:
            return _replaced(steps, old, key, made_by), found + 1
    return type(part)(steps), found


def _replaced(
    steps: list[Any], old: Mapping[str, Any], key: str, made_by: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """Steps in which others stand for a mask and the grid of its regions."""
    regions = f'{key}_regions'
    shared = {'stream': old['stream']} if 'stream' in old else {}
    size = {'mask_size': old['mask_size']} if 'mask_size' in old else {}
    new = [{**step, 'key': regions, **shared} for step in made_by[:-1]]
    new.append({**made_by[-1], 'key': key, **shared, **size})
    if made_by[:-1]:
        new[-1]['regions_key'] = regions
    left_out, drawn_in = [old], old.get('regions_key', 'regions')
    users = [s for s in steps if s['type'] in _OF_REGIONS and s is not old]
    if not any(s.get('regions_key', 'regions') == drawn_in for s in users):
        grids = [s for s in steps if s['type'] == 'GridRegions']
        left_out += [s for s in grids if s.get('key', 'regions') == drawn_in]
    at = steps.index(old)
    return [s for s in steps[:at] if s not in left_out] + new + steps[at + 1 :]
