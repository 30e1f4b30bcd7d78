"""Comparison of a config with a table of published values, what it leaves out filled in."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mmdssl.models.losses.ibot_loss import IBOTLoss
from mmdssl.registry import METRICS, MODELS, OPTIMIZERS, PARAM_SCHEDULERS, TRANSFORMS

_REGISTRIES = (MODELS, TRANSFORMS, OPTIMIZERS, PARAM_SCHEDULERS, METRICS)
_EMPTY = inspect.Parameter.empty


def defaults(kind: type) -> dict[str, Any]:
    """Defaults of a class, and of its bases as far as it passes keywords on to them."""
    found: dict[str, Any] = {}
    for one in kind.__mro__:
        if '__init__' not in vars(one):
            continue
        parameters = inspect.signature(one.__init__).parameters.values()
        found = {p.name: p.default for p in parameters if p.default is not _EMPTY} | found
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def filled(value: Any) -> Any:
    """The settings with which a run builds its parts: a config with the defaults of its types."""
    if isinstance(value, Mapping):
        given = {name: filled(entry) for name, entry in value.items()}
        kind = next((k for r in _REGISTRIES if (k := _kind(r, value.get('type')))), None)
        if kind is None:
            return given
        if value['type'] == 'IBOT':
            given['loss'] = {**defaults(IBOTLoss), **given['loss']}
        if given.get('decoupling'):
            branch = defaults(MODELS.get('DecouplingBranch'))
            host = kind.decoupling_defaults
            given['decoupling'] = {**branch, **host, **value['decoupling']}
        return {**defaults(kind), **given}
    if isinstance(value, (list, tuple)):
        return [filled(entry) for entry in value]
    return value


def _kind(registry: Any, name: Any) -> type | None:
    found = registry.get(name) if isinstance(name, str) else None
    return found if inspect.isclass(found) else None


def differences(wanted: Any, found: Any, place: str = '') -> list[str]:
    """Places at which ``found`` is not as ``wanted``; mappings may hold more, lists may not."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return [f'{place}: {found!r}, not {wanted!r}']
        return [
            line
            for name, entry in wanted.items()
            for line in differences(entry, found.get(name, 'nothing'), f'{place}.{name}')
        ]
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(found, Sequence) or isinstance(found, str) or len(found) != len(wanted):
            return [f'{place}: {found!r}, not {wanted!r}']
        return [
            line
            for i, (one, two) in enumerate(zip(wanted, found, strict=True))
            for line in differences(one, two, f'{place}.{i}')
        ]
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        same = found == pytest.approx(wanted, rel=1e-9, abs=0) and not isinstance(found, bool)
    else:
        same = found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
    return [] if same else [f'{place}: {found!r}, not {wanted!r}']


def unseeded(config: Mapping[str, Any]) -> list[str]:
    """Loaders of a config whose workers do not draw differently from each other."""
    loaders = {name: value for name, value in config.items() if name.endswith('_dataloader')}
    seeded = dict(type='seed_worker')
    return [name for name, one in loaders.items() if one and one.get('worker_init_fn') != seeded]


def merged(one: Mapping, two: Mapping) -> dict[str, Any]:
    """``one`` with the entries of ``two``, mapping by mapping."""
    both = dict(one)
    for name, entry in two.items():
        old = both.get(name)
        nested = isinstance(old, Mapping) and isinstance(entry, Mapping)
        both[name] = merged(old, entry) if nested else entry
    return both
