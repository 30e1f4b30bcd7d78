"""What the demo measured, in plain words: its table and its page."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table as ConsoleTable

from mmdssl.visualization.report import (
    Figure,
    Report,
    Table,
    hardware,
    versions,
    without_paths,
    write_report,
)

__all__ = ['console_table', 'in_words', 'method_names', 'score_rows', 'write_demo_report']

Scores = Mapping[str, float]

_METRICS = (
    ('oknn/top1', 'O-KNN, top-1'),
    ('oknn/top5', 'O-KNN, top-5'),
    ('oknn_d/top1', 'O-KNN-D, top-1'),
    ('oknn_d/top5', 'O-KNN-D, top-5'),
    ('oknn_clean_bank/top1', 'clean bank, disturbed queries, top-1'),
)

_FIGURES = (
    (
        'curves',
        'The run',
        'Left: the losses of the run with the branch; those with a queue rise while it fills. '
        'Right: top-1 of object nearest neighbours, measured during training; iteration 0 is the '
        'untrained network, and the dashed lines are the plain partner. Look for curves that leave '
        'the dotted lines of the untrained network.',
    ),
    (
        'xd',
        'De-coupled views',
        'How the branch makes X^D out of a key view X, a mask M and another image X_B of the '
        'batch. Look for objects of X that survive on foreign ground: at these places the '
        'student must give what the teacher gave for the undisturbed X. In columns '
        'titled complement, which some methods have, the cut rectangles survive instead.',
    ),
    (
        'views',
        'Views of one batch',
        'Both views of some images: as cropped by the loader, after the colour changes on the '
        'device, under the masks of the method, and as X^D. Yellow boxes are the regions that the '
        'masks were drawn for. Look for views whose objects are still recognisable, and for cuts '
        'inside boxes.',
    ),
    (
        'masks',
        'Kinds of masks',
        'Masks over the same regions (boxes); blue is cut. '
        'Where regions overlap, plain cutout adds up and some regions all but vanish; region '
        'collaborative cutout (RCC) takes about the same share of every region. Block-wise and '
        'random masks, where a network has patches, know nothing of regions.',
    ),
    (
        'affinity',
        'Point affinity',
        'Cosine between the feature at the marked point and all others; first a point on an '
        'object, then one on the background, for each image. The untrained network answers to '
        'colour and position. Look for maps that follow the outline of the object, or avoid it.',
    ),
)


_HOSTS = {
    'byol': 'BYOL',
    'd3ssl': 'D3SSL',
    'densecl': 'DenseCL',
    'ibot': 'iBOT',
    'leopart': 'Leopart',
    'maskalign': 'MaskAlign',
    'mocov2': 'MoCo v2',
    'neco': 'NeCo',
    'plrc': 'PLRC',
    'selfemd': 'Self-EMD',
    'slotcon': 'SlotCon',
    'pixpro': 'PixPro',
    'pointlevel': 'Point-level',
    'resim': 'ReSim',
    'soco': 'SoCo',
}


def method_names(config: str) -> tuple[str, str]:
    """How the method of a config is called, and its plain partner: ``'DenseCL-D', 'DenseCL'``."""
    method = config.split('_')[0]
    host, _, variant = method.partition('-')
    plain = _HOSTS.get(host, host)
    return (f'{plain}-{variant.upper()}' if variant else plain), plain


def score_rows(measured: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Name, untrained network, plain partner (if any), pre-trained net and its rise, per metric."""
    first, last = measured['random'], measured['pretrained']
    plain = measured.get('plain')
    return [
        (
            label,
            f'{first[name]:.1f}',
            *([] if plain is None else [f'{plain[name]:.1f}']),
            f'{last[name]:.1f}',
            f'{last[name] - first[name]:+.1f}',
        )
        for name, label in _METRICS
        if name in first and name in last
    ]


def _header(measured: Mapping[str, Any]) -> list[str]:
    method, plain = method_names(measured['config'])
    return [
        'untrained network',
        *([plain] if 'plain' in measured else []),
        method,
        f'rise, {method}',
    ]


def console_table(measured: Mapping[str, Any]) -> ConsoleTable:
    """The scores for a terminal."""
    method, _ = method_names(measured['config'])
    table = ConsoleTable('objects by nearest neighbours, %', title=f'{method} on scenes')
    for name in _header(measured):
        table.add_column(name, justify='right')
    for row in score_rows(measured):
        table.add_row(*row)
    return table


def in_words(measured: Mapping[str, Any]) -> tuple[str, str]:
    """What a newcomer sees, in two sentences: what was learned, and what the partner says."""
    first, last, plain = measured['random'], measured['pretrained'], measured.get('plain')
    method, partner = method_names(measured['config'])
    before, after = first['oknn/top1'], last['oknn/top1']
    error = _standard_error(after, last['oknn/num_query'])
    far = math.hypot(error, _standard_error(before, first['oknn/num_query']))
    learned = 'taught a small network to recognise objects'
    if after - before < 2 * far:
        learned = 'have not taught a small network to recognise objects'
    foreign = ''
    if 'oknn_d/top1' in first and 'oknn_d/top1' in last:
        foreign = (
            f', and of {last["oknn_d/top1"]:.1f} % instead of {first["oknn_d/top1"]:.1f} % where '
            'everything around the objects was exchanged'
        )
    shown = (
        f'Without a label, {measured["iterations"]} iterations of {method} {learned}: the nearest '
        f'neighbours of an object in unseen pictures now name the class of {after:.1f} % of them, '
        f'those of the untrained network that of {before:.1f} %{foreign}.'
    )
    alone = 'One seed, generated pictures and minutes of training are'
    if plain is not None:
        alone = (
            f'Plain {partner}, trained from the same start beside it, ends at '
            f'{plain["oknn/top1"]:.1f} % (standard error of either score {error:.1f} points): with '
            'one seed, generated pictures and minutes of training that difference is'
        )
    return shown, f'{alone} no evidence for or against the claims of the papers.'


def _standard_error(percent: float, count: float) -> float:
    """Of a share of ``count`` objects, in points."""
    return math.sqrt(max(percent * (100 - percent), 0) / max(count, 1))


def write_demo_report(
    path: Path,
    *,
    measured: Mapping[str, Any],
    pictures: Mapping[str, Path],
    facts: Mapping[str, str],
    config_text: str,
) -> Path:
    """Write the demo's page.

    Args:
        path: HTML file to write.
        measured: ``config`` (its stem), ``iterations``, the metrics of the untrained network
            (``random``), of the trained one (``pretrained``) and of the plain partner (``plain``,
            where one was trained).
        pictures: PNG files by the names of ``_FIGURES``; those absent are left out.
        facts: Data, model, times, by name; versions and hardware are added.
        config_text: The whole config; absolute paths are cut.

    Returns:
        The path written.
    """
    last: Scores = measured['pretrained']
    objects = f'{last["oknn/num_query"]:.0f}', f'{last["oknn/num_bank"]:.0f}'
    method, _ = method_names(measured['config'])
    report = Report(
        title=f'{method} on generated scenes: the demo',
        lead=in_words(measured),
        table=Table(
            header=['Objects by nearest neighbours, %', *_header(measured)],
            rows=score_rows(measured),
            caption=f'O-KNN: each of {objects[0]} validation objects gets the class that its 20 '
            f'nearest among {objects[1]} training objects vote for; features are those of the '
            'frozen net, averaged over the box of the object. O-KNN-D: the same after '
            'everything outside the boxes was replaced by another image. Labels are used here '
            'only, never in training. The untrained network has random weights; its BatchNorms '
            'know the mean and variance of training images.',
        ),
        figures=[
            Figure(title, pictures[name], caption)
            for name, title, caption in _FIGURES
            if name in pictures
        ],
        facts={**facts, 'Hardware': hardware(), 'Versions': versions()},
        texts={'Config': without_paths(config_text)},
    )
    return write_report(report, path)
