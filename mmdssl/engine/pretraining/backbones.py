"""Which shipped config serves, and how another backbone of the same family gets into it."""

from typing import Any

from mmengine.config import Config

from mmdssl.engine.config import load_config
from mmdssl.engine.pretraining.catalogue import (
    Shipped,
    continued,
    known_backbones,
    known_methods,
    named,
    variants,
)
from mmdssl.engine.pretraining.decisions import Decisions
from mmdssl.engine.pretraining.machine import Machine
from mmdssl.engine.pretraining.start_weights import DINO_SIZES, Start

__all__ = ['choose', 'exchange_backbone']

# Vision transformers by name here: name in mmpretrain, width.
_VITS = {
    'vit-tiny': ('deit-tiny', 192),
    'vit-small': ('deit-small', 384),
    'vit-base': ('deit-base', 768),
}
# Residual networks: depth, channels of the last stage.
_RESNETS = {'resnet18': (18, 512), 'resnet34': (34, 512), 'resnet50': (50, 2048)}
_RESNETS |= {'resnet101': (101, 2048)}
# Families of DINOv2 and DINOv3, each with a config of its small one, and the sizes they have.
_DINOS = {
    'dinov2': ('small', 'base', 'large', 'giant'),
    'dinov2-reg': ('small', 'base', 'large', 'giant'),
    'dinov3': ('small', 'small-plus', 'base', 'large', 'large-plus', 'huge-plus'),
}


def choose(
    method: str,
    backbone: str | None,
    machine: Machine,
    decisions: Decisions,
    start: Start | None = None,
) -> tuple[Shipped, str | None]:
    """The config to begin with, and the backbone that has to be put into it (None: its own).

    Args:
        method: By name.
        backbone: What is asked for.
        machine: Where it runs.
        decisions: Gets lines.
        start: The weights that are given, if any: a config that goes on from such ones is taken.

    Raises:
        ValueError: If the method is unknown, or does not train such a backbone.
    """
    candidates = variants(method)
    published = candidates[0]
    told = start.backbone if start else None
    going_on = _going_on(method, backbone or told, start)
    if going_on is not None:
        config, other = going_on
        decisions.add('config', config.title, 'goes on from a given backbone')
        reason = 'as asked for' if backbone else 'that of init'
        decisions.add('backbone', other or config.backbone, reason)
        return going_on
    if start and told:
        known = {**_VITS, **_RESNETS}
        if _family_and_size(told)[0] is not None:
            _check_start(method, start, published)
            told = published.backbone
        backbone = backbone or (told if told in known or named(candidates, told) else None)
    if backbone is None:
        small = next((one for one in candidates if one.small), None)
        if machine.gpu is None and small is not None:
            decisions.add('config', small.title, 'the small one of this method')
            decisions.add(
                'backbone',
                small.backbone,
                f'there is no GPU, and {published.backbone} would take days '
                f'(backbone={_short(published.backbone)} asks for it all the same)',
            )
            return small, None
        decisions.add('config', published.title, 'the published settings of this method')
        decisions.add('backbone', published.backbone, 'the published one')
        return published, None
    found = named(candidates, backbone)
    if found is not None:
        what = 'small one' if found.small else 'published settings'
        decisions.add('config', found.title, f'the {what} of this method for {backbone}')
        decisions.add('backbone', found.backbone, 'as asked for')
        return found, None
    family = _VITS if published.backbone.startswith('vit-') else _RESNETS
    if backbone not in family:
        further = continued(method)
        given = f'; with init, {known_backbones(further)}' if further else ''
        raise ValueError(
            f'backbone={backbone}: {method} trains {known_backbones(candidates)} as shipped, and '
            f'{", ".join(family)} in its settings{given}'
        )
    decisions.add('config', published.title, 'the published settings of this method')
    decisions.add('backbone', backbone, f'as asked for, in place of {published.backbone}')
    return published, backbone


def _going_on(
    method: str, backbone: str | None, start: Start | None
) -> tuple[Shipped, str | None] | None:
    """The config that goes on from such a backbone, and what has to be put into it; None for none.

    A name that configs from nothing have as well means these, unless weights are given.
    """
    configs = continued(method)
    if backbone is None or not configs:
        return None
    family, size = _family_and_size(backbone)
    if family is None:
        return (found, None) if start and (found := named(configs, backbone)) else None
    if size not in _DINOS[family]:
        raise ValueError(
            f'backbone={backbone}: {family} has the sizes {", ".join(_DINOS[family])}, as in '
            f'{family}-{_DINOS[family][0]}'
        )
    found = named(configs, f'{family}-small')
    return None if found is None else (found, None if size == 'small' else backbone)


def _check_start(method: str, start: Start, published: Shipped) -> None:
    """Refuse weights of DINOv2 or DINOv3 where the published config has no place for them.

    Raises:
        ValueError: If its backbone is of another kind.
    """
    family, size = _family_and_size(start.backbone or '')
    if not load_config(published.path).model.backbone.get('layer_scale_init_value'):
        having = [one for one in known_methods() if named(continued(one), f'{family}-small')]
        raise ValueError(
            f'{start.file} is a {family}-{size}, from which {method} has no config to go on: '
            f'{", ".join(having)} have one'
        )


def _family_and_size(backbone: str) -> tuple[str | None, str]:
    family = max((f for f in _DINOS if backbone.startswith(f'{f}-')), key=len, default=None)
    return family, backbone.removeprefix(f'{family}-')


def exchange_backbone(config: Config, backbone: str) -> None:
    """Put another backbone of the family into a config, in place; heads and necks follow."""
    model = config.model
    family, size = _family_and_size(backbone)
    if family is not None:
        channels, layers, heads, hidden, model.backbone.ffn = DINO_SIZES[size]
        model.backbone.arch = dict(
            embed_dims=channels, num_layers=layers, num_heads=heads, feedforward_channels=hidden
        )
    elif backbone in _VITS:
        arch, channels = _VITS[backbone]
        model.backbone.arch = arch
    else:
        depth, channels = _RESNETS[backbone]
        model.backbone.depth = depth
    # What takes the features: the neck, or the head where there is no neck.
    part: Any = model.get('neck') or model.get('head')
    if isinstance(part, dict) and 'in_channels' in part:
        part['in_channels'] = channels


def _short(backbone: str) -> str:
    """``vit-small`` of ``vit-small-p16``, ``resnet50`` of ``resnet50-c4``."""
    known = (*_VITS, *_RESNETS)
    return next((name for name in known if backbone.startswith(name)), backbone)
