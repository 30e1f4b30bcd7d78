"""A study as tables: on the terminal, as CSV and as JSON; published beside measured."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from mmdssl.core.checkpointing import atomic_text
from mmdssl.studies.launch import is_trained
from mmdssl.studies.results import (
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
from mmdssl.studies.run import Plan
from mmdssl.studies.study import Published, Study

__all__ = ['Cell', 'build_cells', 'published_tables', 'rich_tables', 'write_tables']


_SHOWN = {metric.key for metric in METRICS}


@dataclass(frozen=True)
class Cell:
    """One number of a study.

    Attributes:
        family: Base.
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


def build_cells(study: Study, points: Sequence[Point]) -> list[Cell]:
    """All numbers of a study."""
    cells: list[Cell] = []
    keys = list(dict.fromkeys(key for point in points for key in point.values))

    def add(family: str, kind: str, name: str, summaries: Mapping[str, Summary]) -> None:
        cells.extend(
            Cell(family, kind, name, key, value) for key, value in summaries.items() if value.seeds
        )

    for family in dict.fromkeys(study.row(p.row).family for p in points):
        rows = family_rows(study, points, family)
        for name, row in rows.items():
            add(family, 'row', name, {key: mean_and_spread(row, key) for key in keys})
        for one, two in comparisons(study, rows, family):
            found = {key: paired_difference(rows[one], rows[two], key) for key in keys}
            add(family, 'difference', f'{one} - {two}', found)
        for branch in study.family(family):
            if branch.role != 'decoupled' or branch.name not in rows:
                continue
            for coupling in COUPLINGS:
                if coupling not in keys:
                    continue
                base = at_equal_coupling(study, points, branch.name, coupling, keys)
                name = f'{branch.name} - base at equal {coupling.split("/")[-1]}'
                ends = rows[branch.name]
                found = {key: paired_difference(ends, base, key) for key in keys}
                add(family, 'equal coupling', name, found)
    return cells


def rich_tables(cells: Sequence[Cell]) -> list[Table]:
    """One table of rows and one of differences for every family."""
    tables = []
    for family in dict.fromkeys(cell.family for cell in cells):
        own = [cell for cell in cells if cell.family == family]
        title = f'{family}: mean ± standard deviation over seeds'
        if any(cell.metric in _SHOWN for cell in own):
            tables.append(_table(title, own, ('row',), signed=False))
        kinds = ('difference', 'equal coupling')
        if any(cell.kind in kinds and cell.metric in _SHOWN for cell in own):
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
        values = [found.get((name, metric.key)) for metric in columns]
        seeds = max((value.seeds for value in values if value), default=0)
        texts = (_text(v, m.digits, signed) for v, m in zip(values, columns, strict=True))
        table.add_row(name, str(seeds), *texts)
    return table


def _text(value: Summary | None, digits: int, signed: bool = False) -> str:
    if value is None or not value.seeds:
        return '-'
    mean = f'{value.mean:{"+" if signed else ""}.{digits}f}'
    return mean if value.seeds < 2 else f'{mean} ±{value.spread:.{digits}f}'


def _columns(table: Published) -> list[Metric]:
    """Their digits; a share of A (``last@0.2``) and a median have those of the mean over all."""
    known = {m.key: m for m in METRICS}
    ratios = ('cr_', 'mcs/')  # near 1, and so are their differences
    found = []
    for key, label in table.columns.items():
        alike = known.get(re.sub('@[^/]*', '', key).replace('/median', '/mean'))
        digits = alike.digits if alike else 2 if key.startswith(ratios) else 1
        found.append(known.get(key) or Metric(key, label, digits, 1))
    return found


def published_tables(study: Study, cells: Sequence[Cell]) -> list[Table]:
    """The paper's tables with ours beside them: values, and differences from the base."""
    rows = {(c.name, c.metric): c.value for c in cells if c.kind == 'row'}
    steps = {(c.name, c.metric): c.value for c in cells if c.kind == 'difference'}
    tables = []
    for paper in study.published:
        says = f'The paper says: {paper.says}.' if paper.says else None
        title = f'{paper.title}: published | measured'
        table = Table(title=title, title_justify='left', caption=says, caption_justify='left')
        table.add_column('')
        for label in paper.columns.values():
            table.add_column(label, justify='right')
        for name, values in paper.rows.items():
            texts, base = [], study.row(name).base
            compared = []
            for metric, value, first in zip(
                _columns(paper), values, paper.rows.get(base, values), strict=True
            ):
                theirs = 'not stated' if value is None else f'{value:g}'
                ours = rows.get((name, metric.key))
                text = _text(ours, metric.digits) if ours else 'not measured'
                texts.append(f'{theirs} | {text}')
                step = '-' if value is None or first is None else f'{value - first:+.2f}'
                ours = steps.get((f'{name} - {base}', metric.key))
                compared.append(f'{step} | {_text(ours, metric.digits, signed=True)}')
            table.add_row(name, *texts)
            if base in paper.rows:
                table.add_row(f'  - {base}', *compared, style='dim')
        tables.append(table)
    return tables


def write_tables(
    plan: Plan, folder: Path, points: Sequence[Point], facts: Mapping[str, Any]
) -> list[Path]:
    """Write ``measurements.csv``, ``tables.csv``, ``published.csv`` and ``study.json``.

    Args:
        plan: Of the study.
        folder: Where.
        points: All measurements.
        facts: What else belongs into the json file (command, versions, hardware).

    Returns:
        The files.
    """
    study, cells = plan.study, build_cells(plan.study, points)
    long = [
        dict(row=p.row, seed=p.seed, iter=p.iteration, share=round(p.share, 4), metric=k, value=v)
        for p in points
        for k, v in p.values.items()
    ]
    short = [
        dict(family=c.family, kind=c.kind, name=c.name, metric=c.metric, **c.value._asdict())
        for c in cells
    ]
    found = {(c.name, c.metric): c.value for c in cells if c.kind == 'row'}
    nothing = Summary(float('nan'), float('nan'), 0)
    beside = [
        dict(
            table=table.title,
            name=name,
            column=label,
            metric=key,
            published=value,
            **found.get((name, key), nothing)._asdict(),
        )
        for table in study.published
        for name, values in table.rows.items()
        for (key, label), value in zip(table.columns.items(), values, strict=True)
    ]
    runs = {
        f'{run.name}/seed-{run.seed}': dict(
            json.loads((run.folder / 'done.json').read_text()),
            folder=str(run.folder.relative_to(plan.out)),
        )
        for run in plan.runs
        if is_trained(run)
    }
    content = dict(
        facts,
        study=study.name,
        title=study.title,
        scale=plan.scale,
        seeds=plan.seeds,
        runs=runs,
        numbers=_no_nan(short),
        published=_no_nan(beside),
    )
    texts = {
        'measurements.csv': _csv(long),
        'tables.csv': _csv(short),
        'published.csv': _csv(beside),
        'study.json': json.dumps(content, indent=1) + '\n',
    }
    for name, text in texts.items():
        atomic_text(text, folder / name)
    return [folder / name for name in texts]


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _no_nan(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """NaN is no json: a spread of one seed is null."""
    return [{k: None if v != v else v for k, v in row.items()} for row in rows]
