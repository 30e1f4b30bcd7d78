"""Which shipped config serves, and how another backbone of the same family gets into it."""

from typing import Any

from mmengine.config import Config

from mmdssl.engine.pretraining.catalogue import Shipped, known_backbones, named, variants
from mmdssl.engine.pretraining.decisions import Decisions
from mmdssl.engine.pretraining.machine import Machine

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


def choose(
    method: str, backbone: str | None, machine: Machine, decisions: Decisions
) -> tuple[Shipped, str | None]:
    """The config to begin with, and the backbone that has to be put into it (None: its own).

    Raises:
        ValueError: If the method is unknown, or does not train such a backbone.
    """
    candidates = variants(method)
    published = candidates[0]
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
        raise ValueError(
            f'backbone={backbone}: {method} trains {known_backbones(candidates)} as shipped, and '
            f'{", ".join(family)} in its settings'
        )
    decisions.add('config', published.title, 'the published settings of this method')
    decisions.add('backbone', backbone, f'as asked for, in place of {published.backbone}')
    return published, backbone


def exchange_backbone(config: Config, backbone: str) -> None:
    """Put another backbone of the family into a config, in place; heads and necks follow."""
    model = config.model
    if backbone in _VITS:
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
