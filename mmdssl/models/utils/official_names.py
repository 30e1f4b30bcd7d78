"""Parameter names of the official iBOT / DINO checkpoints, translated to ours.

Names only: the mapping is the one place that knows them. Old-style weight norm
(``weight_g``, ``weight_v``) becomes torch's parametrization.
"""

import re
from collections.abc import Mapping

from torch import Tensor

_BACKBONE = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^blocks\.(\d+)\.norm1\.', r'layers.\1.ln1.'),
    (r'^blocks\.(\d+)\.norm2\.', r'layers.\1.ln2.'),
    (r'^blocks\.(\d+)\.mlp\.fc1\.', r'layers.\1.ffn.layers.0.0.'),
    (r'^blocks\.(\d+)\.mlp\.fc2\.', r'layers.\1.ffn.layers.1.'),
    (r'^blocks\.(\d+)\.attn\.', r'layers.\1.attn.'),
    (r'^norm\.', 'ln1.'),
    (r'^masked_embed$', 'mask_token'),
)
_HEAD = (
    (r'^last_layer2\.', 'last_layer_patch.'),
    (r'\.weight_g$', '.parametrizations.weight.original0'),
    (r'\.weight_v$', '.parametrizations.weight.original1'),
)


def _rename(name: str, rules: tuple) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def backbone_from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of an official ViT -> state of :class:`DenseViT` (and mmpretrain's ViT)."""
    renamed = {_rename(name, _BACKBONE): value for name, value in state.items()}
    if 'mask_token' in renamed:
        renamed['mask_token'] = renamed['mask_token'].reshape(1, 1, -1)  # (1, C) -> (1, 1, C)
    return renamed


def head_from_official(state: Mapping[str, Tensor], *, shared: bool) -> dict[str, Tensor]:
    """State of an official iBOT head -> state of :class:`IBOTHead`.

    Args:
        state: Official names, without the ``head.`` prefix.
        shared: The official file repeats a shared last layer under a second
            name; the copy is dropped.
    """
    return {
        _rename(name, _HEAD): value
        for name, value in state.items()
        if not (shared and name.startswith('last_layer2.'))
    }


def _split(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Entries under ``part.``, with or without the DistributedDataParallel prefix."""
    found = {}
    for name, value in state.items():
        name = name.removeprefix('module.')
        if name.startswith(part + '.'):
            found[name[len(part) + 1 :]] = value
    return found


def ibot_from_official(checkpoint: Mapping) -> dict[str, Tensor]:
    """An official iBOT training checkpoint -> state of the whole :class:`IBOT` model.

    Args:
        checkpoint: ``student`` and ``teacher`` states (``backbone.*``, ``head.*``) and,
            where present, ``ibot_loss`` with the two centres.

    Returns:
        Names of :class:`IBOT`: ``backbone.``, ``head.``, ``teacher.``, ``criterion.``.

    Raises:
        ValueError: If student or teacher is absent.
    """
    missing = [part for part in ('student', 'teacher') if part not in checkpoint]
    if missing:
        raise ValueError(
            f'not an iBOT training checkpoint: no {" and no ".join(missing)} among '
            f'{sorted(checkpoint)}; a bare backbone file needs backbone_from_official'
        )
    result: dict[str, Tensor] = {}
    for part, prefix in (('student', ''), ('teacher', 'teacher.')):
        backbone = backbone_from_official(_split(checkpoint[part], 'backbone'))
        head = _split(checkpoint[part], 'head')
        first, second = head.get('last_layer.weight_v'), head.get('last_layer2.weight_v')
        shared = second is None or (
            first is not None and first.shape == second.shape and bool((first == second).all())
        )
        result |= {f'{prefix}backbone.{name}': value for name, value in backbone.items()}
        result |= {
            f'{prefix}head.{name}': value
            for name, value in head_from_official(head, shared=shared).items()
        }
    centers = checkpoint.get('ibot_loss', {})
    for ours, theirs in (('center', 'center'), ('patch_center', 'center2')):
        if theirs in centers:
            result[f'criterion.{ours}'] = centers[theirs].reshape(1, -1)
    return result
