"""The page of cards: several networks side by side, every value with its n and its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmdssl.visualization.coupling import draw_coupling_curves
from mmdssl.visualization.position import draw_position
from mmdssl.visualization.report import Figure, Report, Table, write_report
from mmdssl.visualization.scores import draw_scores

__all__ = ['card_rows', 'write_card_page']

Better = Literal['higher', 'lower', '']


@dataclass(frozen=True)
class _Value:
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


def _knn(prefix: str, label: str) -> list[_Value]:
    count = f'{prefix}/num_query'
    return [
        _Value(f'{label}, {text}', 'objects', f'{prefix}/{key}', count, 'objects')
        for key, text in (('top1', 'top-1'), ('top5', 'top-5'))
    ]


def _coupling(group: str, key: str, label: str, of: str, better: Better = 'lower') -> _Value:
    before = key.rpartition('/')[0]
    error = f'{before}/se' if key.endswith('/mean') else f'{key}_se'
    return _Value(label, group, key, f'{before}/{of}', of, better, 3, error)


_AFFINITY = dict(last='outputs', prenorm='before the final norm', keys='keys of the last block')
_METHODS = dict(lost='LOST', tokencut='TokenCut', tokencut_weighted='TokenCut, weighted')
_SECTIONS: dict[str, tuple[str, list[_Value]]] = {
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
            _Value(
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
            _Value(
                f'behind {share} % of the depth', 'position', f'mcs/{share} %/mean',
                f'mcs/{share} %/num', 'photos', 'higher', 3, f'mcs/{share} %/se',
            )
            for share in (25, 50, 75, 100)
        ],
    ),
    'Local semantic consistency': (
        'Cosine between a place seen alone, a crop of 5 x 5 patches, and the same place within the '
        'whole photo: 1 where features need no context. ± standard error over photos.',
        [_Value('LSC', 'consistency', 'lsc/mean', 'lsc/num_images', 'photos', '', 3, 'lsc/error')],
    ),
    'Patches of one object': (
        'Area under the ROC curve of "the same object" over cosines of patches: 1 where every '
        'patch of an object is nearer to its own than to all else, 0.5 where nothing tells them '
        'apart. Objects of one patch do not count, so networks of other grids see other objects.',
        [
            _Value(
                f'affinity, {label}', 'objects', f'affinity/{place}/auc',
                f'affinity/{place}/objects', 'objects', 'higher', 3,
            )
            for place, label in _AFFINITY.items()
        ],
    ),
    'Segmentation without training, mIoU in %': (
        'Patches of the queries get the labels of those of the bank that they resemble; what is no '
        'object is background, a class like the others. In context: soft votes of 30 out of at '
        'most 20,480 patches, drawn up to the image (Hummingbird). Patch kNN: the most frequent '
        'label of 10 by cosine, pixel by pixel (CAPI). In brackets the 95 % interval.',
        [
            _Value('in context', 'objects', 'in_context/miou', 'in_context/num_images', 'photos'),
            _Value('patch kNN', 'objects', 'patch_knn/miou', 'patch_knn/num_images', 'photos'),
        ],
    ),
    'Object discovery, CorLoc in %': (
        'Share of photos whose one box, found without labels, meets an annotated one by half. Keys '
        "are those of the last block, as published; outputs are centred by the photo's mean, the "
        'same for every kind of network. Photos are squashed to one size, so that the scores '
        'compare with each other and not with published ones.',
        [
            _Value(
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
            _Value(
                'beyond 3 medians, %', 'objects', 'artefacts/share_relative', 'artefacts/images',
                'photos', 'lower', 2,
            ),
            _Value(
                'beyond 150, %', 'objects', 'artefacts/share_cutoff', 'artefacts/images', 'photos',
                'lower', 2,
            ),
            _Value(
                'longest over median', 'objects', 'artefacts/max_over_median', 'artefacts/images',
                'photos', '', 1,
            ),
            _Value(
                'median norm', 'objects', 'artefacts/median', 'artefacts/images', 'photos', '', 1
            ),
        ],
    ),
    'Size and speed': (
        'Operations of one image (a multiplication and the addition behind it are two); images a '
        'second on the machine named below, alone and in batches of 16.',
        [
            _Value(
                'parameters, millions', 'speed', 'speed/parameters', better='', digits=1, scale=1e-6
            ),
            _Value('operations, 10^9', 'speed', 'speed/gflops', better='', digits=2),
            _Value('images/s, one by one', 'speed', 'speed/images_per_second_1', better='higher'),
            _Value('images/s, batches', 'speed', 'speed/images_per_second_16', better='higher'),
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
    for section, (_, values) in _SECTIONS.items():
        for one in values:
            numbers = content['groups'].get(one.group, {}).get('numbers', {})
            row: dict[str, Any] = dict(section=section, measure=one.label, better=one.better)
            row['value'] = _scaled(numbers.get(one.key), one.scale)
            if row['value'] is None:
                row['reason'] = content['missing'].get(one.group, 'not measured of this network')
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


def _error(numbers: Mapping[str, Any], one: _Value) -> float | None:
    if one.error == 'lsc/error':  # the metric tells the spread of the photos' means
        count = numbers['lsc/num_images']
        return numbers['lsc/std'] / (count - 1) ** 0.5 if count > 1 else None
    return numbers.get(one.error) if one.error else None


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def write_card_page(cards: Sequence[Mapping[str, Any]], out: Path, *, title: str) -> Path:
    """Write ``card.html`` of networks that were measured on the same photos.

    Args:
        cards: Contents of their files, with ``rows``.
        out: Folder of the page, and of the files and arrays of the networks.
        title: Of the page.

    Returns:
        The path written.
    """
    names = [card['network'] for card in cards]
    parts: list[Figure | Table] = []
    first: Table | None = None
    pictures = _pictures(cards, out)
    for section, (caption, values) in _SECTIONS.items():
        rows = [_row(one, [_found(card, section, one.label) for card in cards]) for one in values]
        table = Table(['', 'better', 'n', *names], rows, caption, section)
        if first is None:
            first = table
        else:
            parts.append(table)
        parts += [pictures[section]] if section in pictures else []
    assert first is not None
    report = Report(
        title=title,
        lead=_lead(cards),
        table=first,
        figures=parts,
        facts=_facts(cards),
    )
    return write_report(report, out / 'card.html')


def _found(card: Mapping[str, Any], section: str, label: str) -> Mapping[str, Any]:
    return next(r for r in card['rows'] if (r['section'], r['measure']) == (section, label))


def _row(one: _Value, found: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = list(dict.fromkeys(f'{row["n"]}' for row in found if 'n' in row))
    number = f'{" / ".join(counts)} {one.of}' if counts else ''
    return [one.label, one.better, number, *(_cell(row, one.digits) for row in found)]


def _cell(row: Mapping[str, Any], digits: int) -> str:
    if row['value'] is None:
        return 'not measured'
    text = f'{row["value"]:.{digits}f}'
    if 'low' in row:
        return f'{text} [{row["low"]:.{digits}f}, {row["high"]:.{digits}f}]'
    return f'{text} ± {row["error"]:.{digits}f}' if 'error' in row else text


def _lead(cards: Sequence[Mapping[str, Any]]) -> list[str]:
    data = cards[0]['data']
    sides = ' and '.join(
        f'{data[side]["images"]} photos with {data[side]["objects"]} objects as {what} '
        f'({data[side]["file"]})'
        for side, what in (('bank', 'bank'), ('query', 'queries'))
    )
    count = 'A frozen network' if len(cards) == 1 else f'{len(cards)} frozen networks'
    return [
        f'{count}, measured on {sides}. Nothing was trained, and labels are read for scores only. '
        'Values of other photos, sizes or settings do not compare with these.'
    ]


def _facts(cards: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    data, settings = cards[0]['data'], cards[0]['asked']['settings']
    facts = {f'{card["network"]}': f'{card["backbone"]}; weights: {card["weights"]}'
             for card in cards}  # fmt: skip
    facts['Photos'] = (
        f'{data["bank"]["images"]} of {data["bank"]["of_images"]} and {data["query"]["images"]} of '
        f'{data["query"]["of_images"]}, evenly spaced, squashed to {settings["size"]} px; '
        f'{data["photos"]["copied"]} whole photos for position and consistency'
    )
    left_out = [*data['bank']['left_out'], *data['query']['left_out']]
    if left_out:
        facts['Left out'] = '; '.join(left_out)
    chosen = cards[0]['groups'].get('inter', {}).get('selection', {})
    if chosen:
        facts['Pairs of objects'] = f'of {chosen["source"]} images, missing shares ' + ', '.join(
            f'{share:g}' for share in chosen['ratios']
        )
    for card in cards:
        for group, reason in card['missing'].items():
            facts[f'Not measured, {card["network"]}: {group}'] = reason
    seconds = {c['network']: sum(g['seconds'] for g in c['groups'].values()) for c in cards}
    facts['Time'] = ', '.join(f'{name} {one / 60:.1f} min' for name, one in seconds.items())
    facts['Seed'] = f'{settings["seed"]}; {settings["bootstrap"]} sets of photos for intervals'
    for title, key in (('Command', 'command'), ('Hardware', 'hardware'), ('Versions', 'versions')):
        facts[title] = '; '.join(dict.fromkeys(card[key] for card in cards if card[key]))
    return {name: value for name, value in facts.items() if value}


def _pictures(cards: Sequence[Mapping[str, Any]], out: Path) -> dict[str, Figure]:
    """Pictures by the section that they stand behind."""
    found = {}
    panels: dict[str, dict[str, dict[str, tuple[float, float, float]]]] = {}
    knn = 'Objects by nearest neighbours, %'
    for one in _SECTIONS[knn][1]:
        name, _, panel = one.label.rpartition(', ')
        for card in cards:
            row = _found(card, knn, one.label)
            if row['value'] is not None:
                ends = (row['value'], row.get('low', row['value']), row.get('high', row['value']))
                panels.setdefault(panel, {}).setdefault(name, {})[card['network']] = ends
    if panels:
        path = draw_scores(
            panels,
            out / 'card_objects.png',
            label='% of the query objects',
            intervals='bars: 95 % interval over query photos',
        )
        found[knn] = Figure(
            'What hangs on the background',
            path,
            'The nearer the three rows of a network, the less its objects need their surroundings.',
        )
    curves = _arrays(cards, out, 'inter', 'cr_inter')
    curves_of = {name: one['last'] for name, one in curves.items() if 'last' in one}
    if curves_of:
        shares = next(
            c['groups']['inter']['selection']['ratios'] for c in cards if 'inter' in c['groups']
        )
        path = draw_coupling_curves(curves_of, shares, out / 'card_coupling.png')
        found['Coupling and background'] = Figure(
            'Coupling between objects',
            path,
            'Against the share of A that is missing. Look for lines that stay at 1.',
        )
    places = {}
    for name, by_layer in _arrays(cards, out, 'position', 'mcs').items():
        card = next(one for one in cards if one['network'] == name)
        quarters = {v: k for k, v in card['groups']['position']['selection']['layers'].items()}
        places[name] = {quarters[n]: one for n, one in by_layer.items() if n in quarters}
    if places:
        path = draw_position(places, out / 'card_position.png')
        found['Position bias'] = Figure(
            'Position bias by depth',
            path,
            'Cosine of the centre cell with the others. Look for lines that fall: the deeper, the '
            'more a feature says where it is.',
        )
    return found


def _arrays(
    cards: Sequence[Mapping[str, Any]], out: Path, group: str, name: str
) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of single values by network and layer, of those that were measured."""
    found = {}
    for card in cards:
        path = out / card['folder'] / f'{name}.npz'
        if group in card['groups'] and path.is_file():
            with np.load(path, allow_pickle=False) as file:
                found[card['network']] = {key: file[key] for key in file.files}
    return found
