"""The study as tables: on the terminal, as CSV and as JSON.

The layout follows Tables 3, 4 and 6 of "Mind Your Augmentation" (ICLR 2024); published numbers
(800 or 200 epochs of COCO) stand beside ours for orientation, they are not comparable in size.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from mmdssl.core.checkpointing import atomic_text
from mmdssl.miniature.arms import ARMS
from mmdssl.miniature.plan import Plan
from mmdssl.miniature.results import (
    COUPLINGS,
    METRICS,
    Metric,
    Point,
    Summary,
    at_equal_coupling,
    comparisons,
    family_rows,
    mean_and_spread,
    paired_difference,
)
from mmdssl.miniature.runs import is_done

__all__ = ['Cell', 'build_cells', 'paper_tables', 'rich_tables', 'write_tables']


@dataclass(frozen=True)
class Cell:
    """One number of the study.

    Attributes:
        family: Host.
        kind: ``'row'`` (mean, standard deviation), ``'difference'`` or ``'equal coupling'``
            (mean, standard error).
        name: The row, or ``'first - second'``.
        metric: Name in the measurements.
        value: Over the seeds.
    """

    family: str
    kind: str
    name: str
    metric: str
    value: Summary


# Title, arms, metrics, and what the paper has for them.
_PAPER: Sequence[tuple[str, Sequence[str], Sequence[str], Mapping[str, str]]] = (
    (
        'Table 3: objects by nearest neighbours, top-1 and top-5',
        ('densecl', 'densecl-d', 'soco', 'soco-d', 'ibot', 'ibot-d', 'maskalign', 'maskalign-d'),
        ('oknn/top1', 'oknn/top5', 'oknn_d/top1', 'oknn_d/top5'),
        {
            'densecl': '72.5/89.6, 41.5/59.9',
            'densecl-d': '74.5/91.2, 45.1/63.9',
            'soco': '73.5/89.7, 43.7/61.2',
            'soco-d': '75.8/90.8, 47.8/65.0',
            'ibot': '75.2/90.8, 45.8/68.3',
            'ibot-d': '78.7/93.3, 52.1/71.9',
            'maskalign': '77.4/91.6, 53.8/74.0',
            'maskalign-d': '79.0/92.7, 55.2/76.1',
        },
    ),
    (
        'Table 4: coupling with and without the branch (RCC masks)',
        ('ibot', 'ibot-d'),
        ('oknn/top1', 'cr_inter/last/mean', 'cr_intra/last/mean'),
        {'ibot': '69.9, 1.80, .17', 'ibot-d': '74.1, 1.16, .04'},
    ),
    (
        'Table 6: RCC masks without the branch',
        ('soco', 'soco-rcc', 'ibot', 'ibot-rcc'),
        ('oknn/top1', 'cr_inter/last/mean'),
        {
            'soco': '73.5, 1.15',
            'soco-rcc': '74.4, 1.10',
            'ibot': '75.2, 1.43',
            'ibot-rcc': '76.8, 1.35',
        },
    ),
)


def build_cells(points: Sequence[Point]) -> list[Cell]:
    """All numbers of the study."""
    cells: list[Cell] = []
    metrics = _present(points)
    for family in _families(points):
        rows = family_rows(points, family)
        for name, row in rows.items():
            cells += [Cell(family, 'row', name, key, mean_and_spread(row, key)) for key in metrics]
        for one, two in comparisons(rows, family):
            cells += [
                Cell(
                    family,
                    'difference',
                    f'{one} - {two}',
                    key,
                    paired_difference(rows[one], rows[two], key),
                )
                for key in metrics
            ]
        if f'{family}-d' not in rows:
            continue
        for coupling in COUPLINGS:
            if coupling not in metrics:
                continue
            base = at_equal_coupling(points, family, coupling, metrics)
            name = f'{family}-d - base at equal {coupling.split("/")[-1]}'
            cells += [
                Cell(
                    family,
                    'equal coupling',
                    name,
                    key,
                    paired_difference(rows[f'{family}-d'], base, key),
                )
                for key in metrics
                if base
            ]
    return cells


def _families(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(ARMS[p.arm].family for p in points))


def _present(points: Sequence[Point]) -> list[str]:
    """Names of the measurements that all points have."""
    if not points:
        return []
    common = set.intersection(*(set(p.values) for p in points))
    return [key for key in points[0].values if key in common and key not in ('iter', 'seconds')]


def rich_tables(cells: Sequence[Cell]) -> list[Table]:
    """One table of rows and one of differences for every family."""
    tables = []
    for family in dict.fromkeys(cell.family for cell in cells):
        own = [cell for cell in cells if cell.family == family]
        tables.append(
            _table(f'{family}: mean ± standard deviation over seeds', own, ('row',), signed=False)
        )
        kinds = ('difference', 'equal coupling')
        if any(cell.kind in kinds for cell in own):
            title = f'{family}: paired differences ± standard error'
            tables.append(_table(title, own, kinds, signed=True))
    return tables


def _table(title: str, cells: Sequence[Cell], kinds: Sequence[str], *, signed: bool) -> Table:
    found = {(c.name, c.metric): c.value for c in cells if c.kind in kinds}
    columns = [m for m in METRICS if any(key == m.key for _, key in found)]
    table = Table(title=title, title_justify='left')
    table.add_column('')
    table.add_column('seeds', justify='right')
    for metric in columns:
        arrow = {1: ' ↑', -1: ' ↓', 0: ''}[metric.better]
        table.add_column(metric.label + arrow, justify='right')
    for name in dict.fromkeys(c.name for c in cells if c.kind in kinds):
        values = [found[name, metric.key] for metric in columns]
        table.add_row(
            name,
            str(max(value.seeds for value in values)),
            *(_text(v, m, signed) for v, m in zip(values, columns, strict=True)),
        )
    return table


def _text(value: Summary, metric: Metric, signed: bool) -> str:
    if not value.seeds:
        return '-'
    mean = f'{value.mean:{"+" if signed else ""}.{metric.digits}f}'
    return mean if value.seeds < 2 else f'{mean} ±{value.spread:.{metric.digits}f}'


def paper_tables(cells: Sequence[Cell]) -> list[Table]:
    """The small versions of the paper's tables, where at least one arm was run."""
    found = {(c.name, c.metric): c.value for c in cells if c.kind == 'row'}
    known = {m.key: m for m in METRICS}
    tables = []
    measured = {key for _, key in found}
    for title, arms, wanted, published in _PAPER:
        keys = [key for key in wanted if key in measured]
        rows = [arm for arm in arms if keys and (arm, keys[0]) in found]
        if not rows:
            continue
        table = Table(title=f'small version of {title}', title_justify='left')
        table.add_column('')
        for key in keys:
            table.add_column(known[key].label if key in known else 'top-5', justify='right')
        table.add_column('published', justify='right', style='dim')
        for arm in rows:
            texts = [
                _text(found[arm, key], known.get(key) or Metric(key, key, 1, 1), False)
                for key in keys
            ]
            table.add_row(arm, *texts, published[arm])
        tables.append(table)
    return tables


def write_tables(
    plan: Plan, points: Sequence[Point], cells: Sequence[Cell], facts: Mapping[str, Any]
) -> list[str]:
    """Write ``measurements.csv``, ``tables.csv`` and ``miniature.json`` below ``plan.out``.

    Args:
        plan: The study.
        points: All measurements.
        cells: All numbers.
        facts: What else belongs into the json file (command, versions, hardware).

    Returns:
        Names of the files.
    """
    long = [
        dict(arm=p.arm, seed=p.seed, iter=p.iteration, share=round(p.share, 4), metric=k, value=v)
        for p in points
        for k, v in p.values.items()
        if k not in ('iter', 'seconds')
    ]
    short = [
        dict(
            family=c.family,
            kind=c.kind,
            name=c.name,
            metric=c.metric,
            mean=c.value.mean,
            spread=c.value.spread,
            seeds=c.value.seeds,
        )
        for c in cells
    ]
    runs = {
        f'{run.name}/seed-{run.seed}': json.loads((run.folder / 'done.json').read_text())
        for run in plan.runs()
        if is_done(run)
    }
    content = dict(facts, regime=plan.name, scale=plan.scale, seeds=plan.seeds, runs=runs)
    atomic_text(_csv(long), plan.out / 'measurements.csv')
    atomic_text(_csv(short), plan.out / 'tables.csv')
    atomic_text(
        json.dumps({**content, 'numbers': _no_nan(short)}, indent=1) + '\n',
        plan.out / 'miniature.json',
    )
    return ['measurements.csv', 'tables.csv', 'miniature.json']


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _no_nan(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """NaN is no json: a spread of one seed is null."""
    return [{k: None if v != v else v for k, v in row.items()} for row in rows]
