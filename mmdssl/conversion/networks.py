"""Networks in files of other code: which ones, whose names, complete or not, and why not."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mmdssl.conversion.architecture import Blueprint, blueprint, is_rotary
from mmdssl.conversion.coverage import Coverage, measure
from mmdssl.conversion.formats import FORMATS, Format
from mmdssl.conversion.key_maps import Dialect, family_of, translate
from mmdssl.conversion.value_rules import gathered
from mmdssl.core.locating import SHARED_HEAD, essential, named
from mmdssl.core.tokens import extra_tokens, other_table

__all__ = ['LAYER4', 'Network', 'fitting', 'misfit', 'read_networks', 'recognised']

LAYER4 = 'layer4.'
# Heads of classifiers, which stand beside a backbone that has no prefix of its own.
_CLASSIFIERS = ('fc.', 'head.', 'heads.', 'head_dist.')
_NO_CLASSIFIER = 'head.norm.'  # where timm has the last norm of a ConvNeXt
_DINO: tuple[Dialect, ...] = ('dinov2', 'hf2', 'dinov3', 'hf3', 'timm3')
_ROTARY: tuple[Dialect, ...] = ('dinov3', 'hf3', 'timm3')
# OpenMMLab and torchvision have a row of the table for every class token, whatever the grid.
_SQUARE: tuple[Dialect, ...] = ('timm', 'official', 'dinov2', 'hf2')


@dataclass(frozen=True)
class Network:
    """A network of a file.

    Attributes:
        state: Tensors under our names, with our prefix.
        report: What of it is there.
        family: Architecture, see :data:`mmdssl.conversion.key_maps.FAMILIES`.
        dialect: Whose names it had.
        notes: Sentences on what the file did not hold and what stands for it.
    """

    state: dict[str, Tensor]
    report: Coverage
    family: str
    dialect: Dialect
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """All is there and nothing else."""
        return self.report.share == 1 and not self.report.faults


def read_networks(flat: Mapping[str, Tensor], form: Format) -> tuple[Network, ...] | None:
    """Networks of a file and what they hold; None if it holds none of this kind.

    Args:
        flat: Tensors by name, see :func:`mmdssl.conversion.formats.flat_state`.
        form: Kind of file.
    """
    moved = {  # mmdet's C4 detectors hold layer4 elsewhere
        n.replace(SHARED_HEAD, 'backbone.'): v
        for n, v in flat.items()
        if n.startswith(SHARED_HEAD + LAYER4)
    }
    if form.prefix and moved:
        flat = {**{n: v for n, v in flat.items() if not n.startswith(SHARED_HEAD)}, **moved}
    for places in form.places:
        if all(any(name.startswith(theirs) for name in flat) for theirs, _ in places):
            parts = [_network(named(flat, theirs), form, ours) for theirs, ours in places]
            found = tuple(part for part in parts if part is not None)
            if len(found) == len(parts):
                return found
    return None


def recognised(flat: Mapping[str, Tensor]) -> list[str]:
    """Kinds of files that this one reads completely as; of those that give the same, the first.

    Args:
        flat: Tensors by name.
    """
    found: list[tuple[str, dict[str, Tensor]]] = []
    for name, form in FORMATS.items():
        networks = read_networks(flat, form)
        if networks and all(network.complete for network in networks):
            state = {n: v for network in networks for n, v in network.state.items()}
            if not any(_same(state, other) for _, other in found):
                found.append((name, state))
    return [name for name, _ in found]


def fitting(flat: Mapping[str, Tensor], but: str) -> list[str]:
    """Kinds of files, ``but`` one, that this one reads as almost completely."""
    return [
        name
        for name, form in FORMATS.items()
        if name != but
        and (networks := read_networks(flat, form)) is not None
        and all(n.report.share >= 0.95 and not n.report.faults for n in networks)
    ]


def misfit(state: Mapping[str, Tensor], family: str, dialect: Dialect) -> str | None:
    """Why a network, complete or not, is none that a dialect has names for.

    Args:
        state: Tensors under our names.
        family: Its architecture.
        dialect: Names it has or shall get.

    Returns:
        A clause like ``'it has no LayerScale, ...'``; None where it fits.
    """
    if family != 'vit' or dialect in ('ours', 'mmpretrain'):
        return None
    rotary = is_rotary(state)
    if dialect in _DINO and not any('.gamma' in name for name in state):
        return 'it has no LayerScale, which every DINOv2 and DINOv3 has'
    if rotary and dialect not in _ROTARY:
        return 'it has no position table (pos_embed), which these networks have'
    if dialect in _ROTARY and not rotary:
        return 'it has no rotary positions and registers, which every DINOv3 has'
    return None


def _same(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(one[name].equal(two[name]) for name in one)


def _network(state: Mapping[str, Tensor], form: Format, prefix: str) -> Network | None:
    """One network under our names, in the dialect that knows most of it; None if it is none."""
    heads = [n for n in state if n.startswith(_CLASSIFIERS) and not n.startswith(_NO_CLASSIFIER)]
    own = {name: value for name, value in state.items() if name not in heads}
    found = [_in_dialect(own, heads, form, dialect, prefix) for dialect in form.dialects]
    known = [network for network in found if network is not None]
    return max(known, key=lambda network: network.report.share, default=None)


def _in_dialect(
    own: Mapping[str, Tensor], heads: list[str], form: Format, dialect: Dialect, prefix: str
) -> Network | None:
    whole = gathered(own, dialect)
    family = family_of(whole.state, dialect)
    if family is None or family not in form.families:
        return None
    renamed = translate(whole.state, family, dialect, 'ours')
    try:
        plan = blueprint(renamed.state, family)
    except ValueError:  # a few names alike, but no network
        return None
    report = measure(
        renamed.state,
        plan,
        part=prefix.removesuffix('.'),
        unknown={name: whole.state[name] for name in renamed.unknown},
        left_out=[*heads, *renamed.left_out],
        faults=[*whole.faults, *_faults(renamed.state, renamed.unknown, plan, family, dialect)],
    )
    notes = list(whole.notes)
    if family == 'vit' and '.gamma' in ''.join(renamed.state) and 'mask_token' not in renamed.state:
        notes.append(
            'the file has no mask token: it starts as zeros, which is fine for evaluation and not '
            'for going on with masked images'
        )
    ours = {f'{prefix}{name}': value for name, value in renamed.state.items()}
    return Network(ours, report, family, dialect, tuple(notes))


def _faults(
    state: Mapping[str, Tensor], unknown: list[str], plan: Blueprint, family: str, dialect: Dialect
) -> list[str]:
    """What makes it another network than its tensors say; corrects the size in ``plan``."""
    faults = []
    extra = extra_tokens(unknown)
    if extra:
        faults.append(
            f'it has {", ".join(extra)}: tokens that the ViT here does not have and its '
            'features depend on'
        )
    reason = misfit(state, family, dialect)
    if reason:
        faults.append(reason)
    table = state.get('pos_embed')
    if table is not None and table.ndim == 3 and dialect in _SQUARE:
        other = other_table(table.shape[1])
        if other:
            rows, sentence = other
            plan.shapes['pos_embed'] = (1, rows, table.shape[2])
            faults.append(sentence)
    lost = essential(n for n in plan.shapes if n not in state and n not in plan.optional)
    if lost:
        faults.append(f'it lacks {", ".join(lost)}, without which nothing is computed')
    return faults
