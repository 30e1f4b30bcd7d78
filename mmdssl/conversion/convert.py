"""Backbones out of this package and into it.

Export: choose a network of one of our checkpoints, compare it with what its architecture
needs, rename. Import: find the networks in a file of other code, rename, compare. Values
are never touched, except that a position table can be resampled for another image size, and
where a scheme splits or merges tensors (:mod:`mmdssl.conversion.value_rules`).
"""

import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.conversion.architecture import Blueprint, blueprint, input_channels, is_rotary
from mmdssl.conversion.coverage import Coverage, measure
from mmdssl.conversion.formats import FORMATS, Format, flat_state
from mmdssl.conversion.key_maps import DIALECTS, FAMILIES, Dialect, family_of, translate
from mmdssl.conversion.metadata import origin
from mmdssl.conversion.networks import LAYER4, Network, fitting, misfit, read_networks, recognised
from mmdssl.conversion.official_ibot import has_heads, heads_and_centers
from mmdssl.conversion.value_rules import exact_periods, scattered
from mmdssl.core.checkpointing import EVALUATED_KEY
from mmdssl.core.locating import SHARED_HEAD, Source, find, tensors
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.core.tokens import table_side
from mmdssl.core.weight_facts import DINOV2_LICENCE, DINOV3_LICENCE
from mmdssl.core.weight_values import check_finite

__all__ = ['Converted', 'export_backbone', 'import_weights']

# What an export may lack: no features depend on the first two, and the second is a constant that
# libraries compute; the norms of earlier stages are mmpretrain's own, that of local crops has a
# part in training alone.
_SPARED = frozenset({'mask_token', 'rope.periods'})
_SPARED_NORMS = ('norm0.', 'norm1.', 'norm2.', 'local_cls_norm.')
_PART = re.compile(r'-(\d+)-of-(\d+)\.(?:safetensors|bin)$')


@dataclass(frozen=True)
class Converted:
    """What a conversion gives.

    Attributes:
        state: Tensors under the new names.
        meta: Origin: method, hash of the config, epoch, versions; no paths.
        reports: Coverage of each network.
        notes: Sentences on licence and on what the other side does differently.
    """

    state: dict[str, Tensor]
    meta: dict[str, Any]
    reports: tuple[Coverage, ...]
    notes: tuple[str, ...] = ()

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
        to: 'mmdet', 'mmseg', 'mmpretrain', 'timm', 'torchvision', 'dinov2', 'dinov3' or 'hf'
            (files of transformers).
        what: 'teacher', 'student', or 'auto': the evaluation backbone.
        c4: Put ``layer4`` of a ResNet where mmdet's C4 detectors have it, in the shared
            head, instead of the backbone.
        image_size: (height, width) in pixels that a ViT's position table is resampled
            for, by the rule of its weights. None leaves it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be used, holds NaN or Inf, or an option does not fit it.
    """
    form = _format(to, [name for name, form in FORMATS.items() if form.prefix is not None])
    content = load_checkpoint_file(path)
    prefix, own = find(content, path, what)
    family = family_of(own, 'ours')
    if family is None and form.prefix and prefix and not c4 and image_size is None:
        kept = _under_its_own_names(own, content, path, to=to, prefix=prefix)
        if kept is not None:
            return kept
    if family is None:
        raise ValueError(
            f'{path} has no backbone of a known architecture under {prefix!r} ({_some(own)}): '
            f'exports know {" and ".join(FAMILIES)}; files of other code need import first'
        )
    if c4 and (to != 'mmdet' or family != 'resnet'):
        raise ValueError(f'--c4 is for a ResNet in mmdet, not for a {family} to {to}')
    every = tensors(content, path)
    token = every.get('backbone.mask_token')
    if token is not None and prefix.startswith('teacher') and family == 'vit':
        own = {'mask_token': token} | own  # a teacher of masked images has none itself
    check_finite(own, path)
    meta = origin(content)
    if image_size is not None:
        own = _resized(own, family, image_size, meta.get('pos_rule'))
    plan = blueprint(own, family)
    dialect = _dialect(own, family, form, to, path)
    renamed = translate(own, family, 'ours', dialect)
    lost = [n for n in renamed.left_out if n not in _SPARED and not n.startswith(_SPARED_NORMS)]
    if lost:
        raise ValueError(
            f'{path} cannot be exported to {to}, which has no place for '
            f'{len(lost)} of its tensors ({", ".join(lost[:3])}): the features depend on them'
        )
    known = {name: own[name] for name in own if name not in renamed.unknown}
    report = measure(
        known,
        plan,
        part=(prefix or 'the whole file').removesuffix('.'),
        unknown={name: own[name] for name in renamed.unknown},
        left_out=renamed.left_out,
    )
    meta |= dict(architecture=plan.title, format=to)
    if to == 'hf':  # transformers refuse safetensors of any other format
        meta |= dict(format='pt', scheme=to)
    if any(name.startswith('teacher.') for name in every):
        meta['network'] = 'teacher' if prefix.startswith('teacher') else 'student'
    whole = scattered(renamed.state, dialect) if report.share == 1 else renamed.state
    state = {f'{form.prefix}{name}': value for name, value in whole.items()}
    if c4:
        stage = f'{form.prefix}{LAYER4}'
        state = {
            SHARED_HEAD + name.removeprefix(form.prefix or '')
            if name.startswith(stage)
            else name: v
            for name, v in state.items()
        }
    return Converted(state, meta, (report,), _export_notes(own, meta, dialect, family))


def _under_its_own_names(
    own: dict[str, Tensor], content: Any, path: str | Path, *, to: str, prefix: str
) -> Converted | None:
    """Another network of mmpretrain, or one of a project, for a framework that can build it.

    Nothing says what a whole one holds, so none of its tensors is missed. None for the names of
    other code: they need import first.
    """
    if any(family_of(own, dialect) is not None for dialect in DIALECTS):
        return None
    check_finite(own, path)
    title = f'network of {len(own)} tensors under the names of its class'
    plan = Blueprint(title, {name: tuple(value.shape) for name, value in own.items()})
    meta = origin(content) | dict(architecture=title, format=to)
    note = (
        f'its names are those of its class, which {to} has to build (in mmdet and mmseg as '
        "'mmpretrain.NAME'); nothing here knows whether tensors are missing"
    )
    report = measure(own, plan, part=prefix.removesuffix('.'), unknown={}, left_out=())
    return Converted(
        {f'backbone.{name}': value for name, value in own.items()}, meta, (report,), (note,)
    )


def _dialect(
    own: Mapping[str, Tensor], family: str, form: Format, to: str, path: str | Path
) -> Dialect:
    """Names for a network in files of a kind.

    Raises:
        ValueError: If there are none.
    """
    if family not in form.families:
        raise ValueError(f'{path} holds a {family}, for which files of {to} have no names')
    second = is_rotary(own) if family == 'vit' else family == 'convnext' and to == 'hf'
    dialect = form.dialects[min(int(second), len(form.dialects) - 1)]
    reason = misfit(own, family, dialect)
    if reason:
        raise ValueError(f'{path} cannot be exported to {to}: {reason}')
    return dialect


def _export_notes(
    own: Mapping[str, Tensor], meta: Mapping[str, Any], dialect: Dialect, family: str
) -> tuple[str, ...]:
    """What somebody has to know who gets the file."""
    notes = [f'licence: {meta["licence"]}'] if 'licence' in meta else []
    channels = input_channels(own, family)
    if channels > 0 and channels != 3:
        notes.append(
            f'it takes images of {channels} channels, brought to the range, mean and standard '
            'deviation of its training (config.py of the run); the network there has to be built '
            'for as many: in_channels, in_chans or num_channels'
        )
    plain = 'pos_embed' in own and 'register_tokens' not in own and '.gamma' in ''.join(own)
    if plain and dialect in ('hf2', 'timm'):
        notes.append(
            'its position table is resampled there by another rule than that of DINOv2: outputs '
            'are equal at the size of the table only'
        )
    periods = own.get('rope.periods')
    if periods is not None and dialect in ('hf3', 'timm3'):
        exact = exact_periods(4 * len(periods)).to(periods)
        if not periods.allclose(exact, rtol=1e-6):
            notes.append(
                'its rotary periods are not the exact ones, which are computed there: outputs '
                'differ slightly'
            )
    return tuple(notes)


def _resized(
    state: dict[str, Tensor], family: str, image_size: tuple[int, int], rule: str | None
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
    own = rule or ('antialias' if 'register_tokens' in state else 'factor')
    resized = resize_position_embedding(table, (side, side), grid, rule=own)  # type: ignore[arg-type]
    return {**state, 'pos_embed': resized}


def import_weights(path: str | Path, *, source: str | None = None) -> Converted:
    """A file of other code under our names.

    Training checkpoints of iBOT come whole: both networks, heads and centres. Of other
    files come the backbones (of MoCo, DenseCL and SoCo the trained one, not the key
    encoder), under ``backbone.`` and, where the file has a teacher beside a student,
    ``teacher.backbone.``.

    Args:
        path: ``torch.save`` file or safetensors. Only plain data is read.
        source: Kind of file, a key of ``FORMATS``; None: recognised from its names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not of this kind or of none, or holds NaN or Inf.
    """
    if source is not None:
        _format(source, list(FORMATS))
    part = _PART.search(str(path))
    if part and int(part[2]) > 1:
        raise ValueError(
            f'{path} is part {int(part[1])} of {int(part[2])} of a network: join the parts first '
            '(all their tensors in one dict, saved with safetensors.torch.save_file)'
        )
    # Official files hold the command line as an argparse.Namespace: plain data, safe to allow.
    content = load_checkpoint_file(path, allow=(Namespace,))
    flat = flat_state(content, path)
    source = source or _recognised(flat, path)
    form = FORMATS[source]
    networks = read_networks(flat, form)
    if networks is None:
        raise ValueError(
            f'{path} is not a file of {source}: {_expected(form)}, the names of this one are like '
            f'{_some(flat)}; {_advice(flat, source)}'
        )
    state = {name: value for network in networks for name, value in network.state.items()}
    reports = tuple(network.report for network in networks)
    facts = _facts(networks[0])
    meta = facts | origin(content)
    meta |= dict(architecture=reports[0].title, format=source)
    if source == 'ibot' and isinstance(content, Mapping) and has_heads(content):
        state |= heads_and_centers(content)
    check_finite(state, path)
    if any(name.startswith('teacher.') for name in state):
        meta[EVALUATED_KEY] = 'teacher'
    notes = [note for network in networks for note in network.notes]
    if 'licence' in meta:
        notes.append(f'licence: {meta["licence"]}')
    return Converted(state, meta, reports, tuple(dict.fromkeys(notes)))


def _facts(network: Network) -> dict[str, str]:
    """What is known of weights by their names: origin, licence, rule of the position table."""
    names = ''.join(network.state)
    if network.dialect in ('dinov3', 'hf3', 'timm3'):
        return dict(weights_origin='DINOv3', licence=DINOV3_LICENCE)
    if network.family != 'vit' or '.gamma' not in names:
        return {}
    rule = 'antialias' if 'register_tokens' in names else 'factor'
    if network.dialect in ('dinov2', 'hf2'):
        return dict(weights_origin='DINOv2', licence=DINOV2_LICENCE, pos_rule=rule)
    # The class of timm holds others, too.
    return dict(pos_rule=rule)


def _format(name: str, names: list[str]) -> Format:
    if name not in names:
        raise ValueError(f'{name!r} is not a known kind of file, choose from {sorted(names)}')
    return FORMATS[name]


def _recognised(flat: Mapping[str, Tensor], path: str | Path) -> str:
    """The kind of a file whose kind was not given."""
    kinds = recognised(flat)
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise ValueError(
            f'{path} reads completely as a file of {" or of ".join(kinds)}, with different '
            'results: say which with --from'
        )
    almost = fitting(flat, '')
    advice = (
        f'it is almost one of {" or ".join(almost)}: name it with --from to see what differs'
        if almost
        else f'known kinds are {", ".join(FORMATS)}'
    )
    raise ValueError(
        f'{path} is of no scheme that is known here, its names are like {_some(flat)}; {advice}'
    )


def _expected(form: Format) -> str:
    prefixes = dict.fromkeys(theirs for places in form.places for theirs, _ in places)
    where = ' or '.join(repr(prefix) for prefix in prefixes if prefix)
    place = f'under {where}' if where else 'at its top'
    return f'such a file holds a {" or ".join(form.families)} {place}'


def _advice(flat: Mapping[str, Tensor], source: str) -> str:
    """Which kind of file it is instead."""
    kinds = fitting(flat, source)
    if kinds:
        return f'it reads completely with --from {" or ".join(kinds)}'
    return 'no other --from reads it completely either'


def _some(names: Mapping[str, Any], limit: int = 4) -> str:
    return ', '.join(list(names)[:limit])
