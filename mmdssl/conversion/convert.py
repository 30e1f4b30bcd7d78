"""Backbones out of this package and into it.

Export: choose a network of one of our checkpoints, compare it with what its architecture
needs, rename. Import: find the networks in a file of other code, rename, compare. Values
are never touched, except that a position table can be resampled for another image size.
"""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.conversion.architecture import Blueprint, blueprint
from mmdssl.conversion.coverage import Coverage, measure
from mmdssl.conversion.formats import FORMATS, Format, flat_state
from mmdssl.conversion.key_maps import FAMILIES, family_of, translate
from mmdssl.conversion.metadata import origin
from mmdssl.conversion.official_ibot import has_heads, heads_and_centers
from mmdssl.core.checkpointing import EVALUATED_KEY
from mmdssl.core.locating import SHARED_HEAD, Source, essential, find, named, tensors
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.core.tokens import extra_tokens, other_table, table_side
from mmdssl.core.weight_values import check_finite

__all__ = ['Converted', 'export_backbone', 'import_weights']

# Heads of classifiers, which stand beside a backbone that has no prefix of its own.
_CLASSIFIERS = ('fc.', 'head.', 'heads.', 'head_dist.')
_LAYER4 = 'layer4.'


@dataclass(frozen=True)
class Converted:
    """What a conversion gives.

    Attributes:
        state: Tensors under the new names.
        meta: Origin: method, hash of the config, epoch, versions; no paths.
        reports: Coverage of each network.
    """

    state: dict[str, Tensor]
    meta: dict[str, Any]
    reports: tuple[Coverage, ...]

    @property
    def coverage(self) -> float:
        """The least of the reports, 0..1."""
        return min(report.share for report in self.reports)

    @property
    def faults(self) -> tuple[str, ...]:
        """What makes it another network than one of ours, in sentences."""
        return tuple(dict.fromkeys(fault for report in self.reports for fault in report.faults))


def export_backbone(
    path: str | Path,
    *,
    to: str,
    what: Source = 'auto',
    c4: bool = False,
    image_size: tuple[int, int] | None = None,
) -> Converted:
    """The backbone of one of our checkpoints under the names of another package.

    Args:
        path: Checkpoint of a run of this package, or a converted or published one.
        to: 'mmdet', 'mmseg', 'mmpretrain', 'timm' or 'torchvision'.
        what: 'teacher', 'student', or 'auto': the evaluation backbone.
        c4: Put ``layer4`` of a ResNet where mmdet's C4 detectors have it, in the shared
            head, instead of the backbone.
        image_size: (height, width) in pixels that a ViT's position table is resampled
            for, by the rule of the official DINO / iBOT code. None leaves it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be used, holds NaN or Inf, or an option does not fit it.
    """
    form = _format(to, [name for name, form in FORMATS.items() if form.prefix is not None])
    content = load_checkpoint_file(path)
    prefix, own = find(content, path, what)
    family = family_of(own, 'ours')
    if family is None:
        raise ValueError(
            f'{path} has no backbone of a known architecture under {prefix!r} ({_some(own)}): '
            f'exports know {" and ".join(FAMILIES)}; files of other code need import first'
        )
    if c4 and (to != 'mmdet' or family != 'resnet'):
        raise ValueError(f'--c4 is for a ResNet in mmdet, not for a {family} to {to}')
    check_finite(own, path)
    if image_size is not None:
        own = _resized(own, family, image_size)
    plan = blueprint(own, family)
    renamed = translate(own, family, 'ours', form.dialect)
    known = {name: own[name] for name in own if name not in renamed.unknown}
    report = measure(
        known,
        plan,
        part=(prefix or 'the whole file').removesuffix('.'),
        unknown={name: own[name] for name in renamed.unknown},
        left_out=renamed.left_out,
    )
    meta = origin(content)
    meta |= dict(architecture=plan.title, format=to)
    if any(name.startswith('teacher.') for name in tensors(content, path)):
        meta['network'] = 'teacher' if prefix.startswith('teacher') else 'student'
    state = {f'{form.prefix}{name}': value for name, value in renamed.state.items()}
    if c4:
        stage = f'{form.prefix}{_LAYER4}'
        state = {
            SHARED_HEAD + name.removeprefix(form.prefix or '')
            if name.startswith(stage)
            else name: v
            for name, v in state.items()
        }
    return Converted(state, meta, (report,))


def _resized(
    state: dict[str, Tensor], family: str, image_size: tuple[int, int]
) -> dict[str, Tensor]:
    """The state with its position table resampled for images of another size."""
    if family != 'vit' or not {'pos_embed', 'patch_embed.projection.weight'} <= state.keys():
        raise ValueError('--img-size is for vision transformers with a position table')
    # Here, as the package around it imports mmpretrain, which takes seconds.
    from mmdssl.models.backbones.position_embedding import resize_position_embedding

    patch = tuple(state['patch_embed.projection.weight'].shape[-2:])
    if any(size % side for size, side in zip(image_size, patch, strict=True)):
        raise ValueError(f'--img-size {image_size} is no multiple of the patch size {patch}')
    grid = (image_size[0] // patch[0], image_size[1] // patch[1])
    table = state['pos_embed']
    try:
        side = table_side(table.shape[1])
    except ValueError as error:
        raise ValueError(f'--img-size: {error}: leave it out') from error
    return {**state, 'pos_embed': resize_position_embedding(table, (side, side), grid)}


def import_weights(path: str | Path, *, source: str) -> Converted:
    """A file of other code under our names.

    Training checkpoints of iBOT come whole: both networks, heads and centres. Of other
    files come the backbones (of MoCo, DenseCL and SoCo the trained one, not the key
    encoder), under ``backbone.`` and, where the file has a teacher beside a student,
    ``teacher.backbone.``.

    Args:
        path: ``torch.save`` file or safetensors. Only plain data is read.
        source: Kind of file, a key of ``FORMATS``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not of this kind, or holds NaN or Inf.
    """
    form = _format(source, list(FORMATS))
    # Official files hold the command line as an argparse.Namespace: plain data, safe to allow.
    content = load_checkpoint_file(path, allow=(Namespace,))
    flat = flat_state(content, path)
    read = _read(flat, form)
    if read is None:
        raise ValueError(
            f'{path} is not a file of {source}: {_expected(form)}, the names of this one are like '
            f'{_some(flat)}; {_advice(flat, source)}'
        )
    state, reports = read
    meta = origin(content)
    meta |= dict(architecture=reports[0].title, format=source)
    if source == 'ibot' and isinstance(content, Mapping) and has_heads(content):
        state |= heads_and_centers(content)
    check_finite(state, path)
    if any(name.startswith('teacher.') for name in state):
        meta[EVALUATED_KEY] = 'teacher'
    return Converted(state, meta, reports)


def _format(name: str, names: list[str]) -> Format:
    if name not in names:
        raise ValueError(f'{name!r} is not a known kind of file, choose from {sorted(names)}')
    return FORMATS[name]


def _read(
    flat: Mapping[str, Tensor], form: Format
) -> tuple[dict[str, Tensor], tuple[Coverage, ...]] | None:
    """Networks of a file and what they hold; None if it holds none of this kind."""
    moved = {  # mmdet's C4 detectors hold layer4 elsewhere
        n.replace(SHARED_HEAD, 'backbone.'): v
        for n, v in flat.items()
        if n.startswith(SHARED_HEAD + _LAYER4)
    }
    if form.prefix and moved:
        flat = {**{n: v for n, v in flat.items() if not n.startswith(SHARED_HEAD)}, **moved}
    for places in form.places:
        if all(any(name.startswith(theirs) for name in flat) for theirs, _ in places):
            parts = [_network(named(flat, theirs), form, ours) for theirs, ours in places]
            if all(part is not None for part in parts):
                found = [part for part in parts if part is not None]
                state = {name: value for part, _ in found for name, value in part.items()}
                return state, tuple(report for _, report in found)
    return None


def _network(
    state: Mapping[str, Tensor], form: Format, prefix: str
) -> tuple[dict[str, Tensor], Coverage] | None:
    """One network under our names and its coverage; None if it is no known network."""
    heads = [name for name in state if name.startswith(_CLASSIFIERS)]
    own = {name: value for name, value in state.items() if name not in heads}
    family = family_of(own, form.dialect)
    if family is None or family not in form.families:
        return None
    renamed = translate(own, family, form.dialect, 'ours')
    try:
        plan = blueprint(renamed.state, family)
    except ValueError:  # a few names alike, but no network
        return None
    report = measure(
        renamed.state,
        plan,
        part=prefix.removesuffix('.'),
        unknown={name: own[name] for name in renamed.unknown},
        left_out=[*heads, *renamed.left_out],
        faults=_faults(renamed.state, renamed.unknown, plan, form),
    )
    return {f'{prefix}{name}': value for name, value in renamed.state.items()}, report


def _faults(
    state: Mapping[str, Tensor], unknown: list[str], plan: Blueprint, form: Format
) -> list[str]:
    """What makes a ViT another network than its tensors say; corrects the size in ``plan``."""
    faults = []
    extra = extra_tokens(unknown)
    if extra:
        faults.append(
            f'it has {", ".join(extra)}: tokens that the ViT here does not have and its '
            'features depend on'
        )
    table = state.get('pos_embed')
    # OpenMMLab and torchvision have a row for every class token, whatever the grid.
    if table is not None and table.ndim == 3 and form.dialect in ('timm', 'official'):
        other = other_table(table.shape[1])
        if other:
            rows, sentence = other
            plan.shapes['pos_embed'] = (1, rows, table.shape[2])
            faults.append(sentence)
    lost = essential(name for name in plan.shapes if name not in state)
    if lost:
        faults.append(f'it lacks {", ".join(lost)}, without which nothing is computed')
    return faults


def _expected(form: Format) -> str:
    prefixes = dict.fromkeys(theirs for places in form.places for theirs, _ in places)
    where = ' or '.join(repr(prefix) for prefix in prefixes if prefix)
    place = f'under {where}' if where else 'at its top'
    return f'such a file holds a {" or ".join(form.families)} {place}'


def _advice(flat: Mapping[str, Tensor], source: str) -> str:
    """Which kind of file it is instead."""
    fitting = [name for name in FORMATS if name != source and _complete(flat, FORMATS[name])]
    if fitting:
        return f'it reads completely with --from {" or ".join(fitting)}'
    return 'no other --from reads it completely either'


def _complete(flat: Mapping[str, Tensor], form: Format) -> bool:
    read = _read(flat, form)
    return read is not None and all(r.share >= 0.95 and not r.faults for r in read[1])


def _some(names: Mapping[str, Any], limit: int = 4) -> str:
    return ', '.join(list(names)[:limit])
