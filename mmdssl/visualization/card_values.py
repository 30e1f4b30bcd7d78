"""What stands on a card: every value with its place, what n counts and which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ['SECTIONS', 'CardValue', 'card_rows']

_NOT_OF_IT = 'not measured of this network'  # or not of these data
Better = Literal['higher', 'lower', '']


@dataclass(frozen=True)
class CardValue:
    """A row of the page.

    Attributes:
        label: In print.
        group: Measures that it belongs to.
        key: Of its number; ``{}_low`` and ``{}_high``, or ``error``, are those of its interval.
        count: Key of n.
        of: What n counts.
        better: Which way.
        digits: Behind the point.
        error: Key of its standard error.
        scale: Factor of the printed value.
    """

    label: str
    group: str
    key: str
    count: str = ''
    of: str = ''
    better: Better = 'higher'
    digits: int = 1
    error: str = ''
    scale: float = 1


def _knn(prefix: str, label: str) -> list[CardValue]:
    count = f'{prefix}/num_query'
    return [
        CardValue(f'{label}, {text}', 'objects', f'{prefix}/{key}', count, 'objects')
        for key, text in (('top1', 'top-1'), ('top5', 'top-5'))
    ]


def _coupling(group: str, key: str, label: str, of: str, better: Better = 'lower') -> CardValue:
    before = key.rpartition('/')[0]
    error = f'{before}/se' if key.endswith('/mean') else f'{key}_se'
    return CardValue(label, group, key, f'{before}/{of}', of, better, 3, error)


_AFFINITY = dict(last='outputs', prenorm='before the final norm', keys='keys of the last block')
_METHODS = dict(lost='LOST', tokencut='TokenCut', tokencut_weighted='TokenCut, weighted')
#: By heading: what its values are, and the values.
SECTIONS: dict[str, tuple[str, list[CardValue]]] = {
    'Objects by nearest neighbours, %': (
        'O-KNN: an object of the queries gets the class that its 20 nearest objects of the bank '
        'vote for; features are averaged over its box. Disturbed: all that is in no box was '
        'exchanged for another photo. What the clean bank loses on disturbed queries hangs on the '
        'background. In brackets the 95 % interval over photos drawn anew.',
        [
            *_knn('oknn', 'O-KNN'),
            *_knn('oknn_d', 'O-KNN-D, both disturbed'),
            *_knn('oknn_clean_bank', 'clean bank, disturbed queries'),
        ],
    ),
    'Coupling and background': (
        'Between objects: how far the feature of A turns to its neighbour B while A fades, 1 '
        'without leakage; the published ratio, whose denominators may clamp, and our centred one. '
        'Within: 1 - cosine of a part whose surroundings are exchanged, 0 where it is its own. '
        'Background: cosine of an object with itself on another background; centred is the fair '
        'one between networks. Behind ± the standard error over samples.',
        [
            _coupling('inter', 'cr_inter/last/mean', 'between objects, published', 'pairs'),
            _coupling('inter', 'cr_inter/last/full_angle', 'between objects, centred', 'pairs'),
            CardValue(
                'clamped denominators of the published, %', 'inter', 'cr_inter/last/clamped',
                'cr_inter/last/pairs', 'pairs', '', 1, scale=100,
            ),
            _coupling('intra', 'cr_intra/last/mean', 'within, rest exchanged', 'parts'),
            _coupling('intra', 'cr_intra_all/last/mean', 'within, all else exchanged', 'parts'),
            _coupling(
                'background', 'bg_self/last/centred', 'on another background, centred', 'objects',
                'higher',
            ),
            _coupling(
                'background', 'bg_self/last/raw', 'on another background, raw', 'objects', 'higher'
            ),
        ],
    ),
    'Position bias': (
        'Mean cosine between the centre and the eight other cells of a 3 x 3 grid of one photo, by '
        'the share of the depth: 1 for a network that knows no places. ± standard error.',
        [
            CardValue(
                f'behind {share} % of the depth', 'position', f'mcs/{share} %/mean',
                f'mcs/{share} %/num', 'photos', 'higher', 3, f'mcs/{share} %/se',
            )
            for share in (25, 50, 75, 100)
        ],
    ),
    'Local semantic consistency': (
        'Cosine between a place seen alone, a crop of 5 x 5 patches, and the same place within the '
        'whole photo: 1 where features need no context. ± standard error over photos.',
        [
            CardValue(
                'LSC', 'consistency', 'lsc/mean', 'lsc/num_images', 'photos', '', 3, 'lsc/error'
            )
        ],
    ),
    'Patches of one object': (
        'Area under the ROC curve of "the same object" over cosines of patches: 1 where every '
        'patch of an object is nearer to its own than to all else, 0.5 where nothing tells them '
        'apart. Objects of one patch do not count, so networks of other grids see other objects.',
        [
            CardValue(
                f'affinity, {label}', 'objects', f'affinity/{place}/auc',
                f'affinity/{place}/objects', 'objects', 'higher', 3,
            )
            for place, label in _AFFINITY.items()
        ],
    ),
    'Segmentation without training, mIoU in %': (
        'Patches of the queries get the labels of those of the bank that they resemble; what is no '
        'object is background, a class like the others. In context: soft votes of 30 out of at '
        'most 20,480 patches, drawn up to the image (Hummingbird); a class that does not occur '
        'counts 0. Patch kNN: the most frequent label of 10 by cosine, pixel by pixel (CAPI), over '
        'classes that occur. In brackets the 95 % interval.',
        [
            CardValue(
                'in context', 'objects', 'in_context/miou', 'in_context/num_images', 'photos'
            ),
            CardValue('patch kNN', 'objects', 'patch_knn/miou', 'patch_knn/num_images', 'photos'),
        ],
    ),
    'Object discovery, CorLoc in %': (
        'Share of photos whose one box, found without labels, meets an annotated one by half. Keys '
        "are those of the last block, as published; outputs are centred by the photo's mean, the "
        'same for every kind of network. Photos are squashed to one size, so that the scores '
        'compare with each other and not with published ones.',
        [
            CardValue(
                f'{name}, {label}', 'objects', f'{prefix}/{method}/corloc',
                f'{prefix}/{method}/images', 'photos',
            )
            for prefix, label in (('discovery', 'keys'), ('discovery_last', 'outputs'))
            for method, name in _METHODS.items()
            if prefix == 'discovery' or method != 'tokencut_weighted'
        ],
    ),
    'Artefact tokens': (
        'Norms of patches before the final norm. Artefacts are tokens beyond three medians, or '
        "beyond 150, the published cut of DINOv2's giant, which other networks need not share.",
        [
            CardValue(
                'beyond 3 medians, %', 'objects', 'artefacts/share_relative', 'artefacts/images',
                'photos', 'lower', 2,
            ),
            CardValue(
                'beyond 150, %', 'objects', 'artefacts/share_cutoff', 'artefacts/images', 'photos',
                'lower', 2,
            ),
            CardValue(
                'longest over median', 'objects', 'artefacts/max_over_median', 'artefacts/images',
                'photos', '', 1,
            ),
            CardValue(
                'median norm', 'objects', 'artefacts/median', 'artefacts/images', 'photos', '', 1
            ),
        ],
    ),
    'Size and speed': (
        'Operations of one image (a multiplication and the addition behind it are two); images a '
        'second on the machine named below, alone and in batches of 16.',
        [
            CardValue(
                'parameters, millions', 'speed', 'speed/parameters', better='', digits=1, scale=1e-6
            ),
            CardValue('operations, 10^9', 'speed', 'speed/gflops', better='', digits=2),
            CardValue(
                'images/s, one by one', 'speed', 'speed/images_per_second_1', better='higher'
            ),
            CardValue('images/s, batches', 'speed', 'speed/images_per_second_16', better='higher'),
        ],
    ),
}  # fmt: skip


def card_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The values of a card, one dict a row of the page.

    Args:
        content: Of a card: ``groups`` and ``missing``.

    Returns:
        ``section``, ``measure``, ``value`` (None where it is not measured), ``low`` and ``high``
        (95 % interval) or ``error`` (standard error) where there are any, ``n``, ``of``,
        ``better`` and, in place of a value, ``reason``.
    """
    rows = []
    for section, (_, values) in SECTIONS.items():
        for one in values:
            numbers = content['groups'].get(one.group, {}).get('numbers', {})
            row: dict[str, Any] = dict(section=section, measure=one.label, better=one.better)
            row['value'] = _scaled(numbers.get(one.key), one.scale)
            if row['value'] is None:
                part = f'{one.group}/{one.key.partition("/")[0]}'
                known = content['missing']
                row['reason'] = known.get(one.group) or known.get(part) or _NOT_OF_IT
                rows.append(row)
                continue
            for end in ('low', 'high'):
                if numbers.get(f'{one.key}_{end}') is not None:
                    row[end] = _scaled(numbers[f'{one.key}_{end}'], one.scale)
            error = _error(numbers, one)
            if error is not None:
                row['error'] = error
            if one.count:
                row |= dict(n=int(numbers[one.count]), of=one.of)
            rows.append(row)
    return rows


def _error(numbers: Mapping[str, Any], one: CardValue) -> float | None:
    if one.error == 'lsc/error':  # the metric tells the spread of the photos' means
        count = numbers['lsc/num_images']
        return numbers['lsc/std'] / (count - 1) ** 0.5 if count > 1 else None
    return numbers.get(one.error) if one.error else None


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale
