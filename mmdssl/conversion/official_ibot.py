"""Whole training checkpoints of the official iBOT / iBOT-D code: heads and centres, too."""

from collections.abc import Mapping

from torch import Tensor

from mmdssl.conversion.formats import flat_state
from mmdssl.conversion.key_maps import translate
from mmdssl.core.locating import named

__all__ = [
    'backbone_from_official',
    'has_heads',
    'head_from_official',
    'heads_and_centers',
]


def backbone_from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of an official ViT -> state of :class:`DenseViT` (and mmpretrain's ViT)."""
    return _renamed(state, 'vit')


def head_from_official(state: Mapping[str, Tensor], *, shared: bool) -> dict[str, Tensor]:
    """State of an official iBOT head -> state of :class:`IBOTHead`.

    Args:
        state: Official names, without the ``head.`` prefix.
        shared: The official file repeats a shared last layer under a second
            name; the copy is dropped.
    """
    own = {n: v for n, v in state.items() if not (shared and n.startswith('last_layer2.'))}
    return _renamed(own, 'ibot_head')


def _renamed(state: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """Ours for theirs; what the table does not know keeps its name, so that loading reports it."""
    result = translate(state, family, 'official', 'ours')
    return result.state | {name: state[name] for name in result.unknown}


def has_heads(checkpoint: Mapping) -> bool:
    """Whether a file holds student and teacher with their projection heads."""
    return all(
        isinstance(checkpoint.get(network), Mapping)
        and any('head.' in str(name) for name in checkpoint[network])
        for network in ('student', 'teacher')
    )


def heads_and_centers(checkpoint: Mapping) -> dict[str, Tensor]:
    """Heads of both networks and the two centres, under names of :class:`IBOT`."""
    result: dict[str, Tensor] = {}
    state = flat_state(checkpoint, 'the checkpoint')
    for network, prefix in (('student', ''), ('teacher', 'teacher.')):
        head = named(state, f'{network}.head.')
        first, second = head.get('last_layer.weight_v'), head.get('last_layer2.weight_v')
        shared = second is None or (
            first is not None and first.shape == second.shape and bool((first == second).all())
        )
        own = head_from_official(head, shared=shared)
        result |= {f'{prefix}head.{name}': value for name, value in own.items()}
    centers = checkpoint.get('ibot_loss') or {}
    for ours, theirs in (('center', 'center'), ('patch_center', 'center2')):
        if theirs in centers:
            result[f'criterion.{ours}'] = centers[theirs].reshape(1, -1)
    return result
