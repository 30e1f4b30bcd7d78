"""The page of cards: several networks side by side, every value with its n and its interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdssl.visualization.card_values import SECTIONS, CardValue
from mmdssl.visualization.coupling import draw_coupling_curves
from mmdssl.visualization.position import draw_position
from mmdssl.visualization.report import Figure, Report, Table, write_report
from mmdssl.visualization.scores import draw_scores

__all__ = ['write_card_page']


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
    for section, (caption, values) in SECTIONS.items():
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
        wide=len(cards) > 3,
    )
    return write_report(report, out / 'card.html')


def _found(card: Mapping[str, Any], section: str, label: str) -> Mapping[str, Any]:
    return next(r for r in card['rows'] if (r['section'], r['measure']) == (section, label))


def _row(one: CardValue, found: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = list(dict.fromkeys(f'{row["n"]}' for row in found if 'n' in row))
    number = f'{" / ".join(counts)} {one.of}' if counts else ''
    label = one.label.replace('top-', 'top\u2011')  # a hyphen that no line ends on
    return [label, one.better, number, *(_cell(row, one.digits) for row in found)]


def _cell(row: Mapping[str, Any], digits: int) -> str:
    if row['value'] is None:
        return 'not measured'
    text = f'{row["value"]:.{digits}f}'
    if 0 < abs(row['value']) < 0.5 * 10**-digits and 'low' not in row and 'error' not in row:
        text = f'{row["value"]:.1e}'
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
    for one in SECTIONS[knn][1]:
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
