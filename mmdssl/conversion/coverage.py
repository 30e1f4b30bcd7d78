"""How much of a network a set of tensors holds, as numbers and as a table.

Coverage counts both directions: what the network needs and does not get (missing, or of
another shape), and what is there and has no place (unexpected), because a network with
parts that the target does not know computes something else there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from rich.table import Table
from torch import Tensor

from mmdssl.conversion.architecture import Blueprint, Shape
from mmdssl.core.wording import listed_after

__all__ = ['Coverage', 'as_table', 'measure']


@dataclass(frozen=True)
class Coverage:
    """What a file gives to one network.

    Attributes:
        part: Which network, e.g. ``'teacher.backbone'``.
        title: Its architecture, for people.
        matched: Names that fit.
        missing: Names that the network needs and the file lacks.
        mismatched: Names of another shape, as ``'name: (3,) instead of (4,)'``.
        unexpected: Names in the file that no rule and no part of the network accounts for.
        left_out: Names in the file that a rule leaves out, like classifiers.
        share: Coverage, 0..1: the smaller of the shares of tensors and of values.
        faults: Sentences on what makes it another network, however much is covered.
    """

    part: str
    title: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unexpected: tuple[str, ...]
    left_out: tuple[str, ...]
    share: float
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f'{self.part} ({self.title}): {len(self.matched)} tensors matched, '
            f'{len(self.missing)} missing{listed_after(self.missing, 3)}, '
            f'{len(self.mismatched)} of another shape{listed_after(self.mismatched, 3)}, '
            f'{len(self.unexpected)} unexpected{listed_after(self.unexpected, 3)}, '
            f'coverage {self.share:.1%}'
        )


def measure(
    state: Mapping[str, Tensor],
    plan: Blueprint,
    *,
    part: str = 'backbone',
    unknown: Mapping[str, Tensor] | None = None,
    left_out: Iterable[str] = (),
    faults: Iterable[str] = (),
) -> Coverage:
    """Compare tensors with what a complete network holds.

    Args:
        state: Tensors under our names.
        plan: What should be there.
        part: Name of the network in the report.
        unknown: Tensors that had no name of ours.
        left_out: Names that a rule leaves out.
        faults: See :class:`Coverage`.
    """
    needed = {n: shape for n, shape in plan.shapes.items() if n in state or n not in plan.optional}
    fits = {n: n in state and _fits(tuple(state[n].shape), s) for n, s in needed.items()}
    strangers = {n: v for n, v in state.items() if n not in plan.shapes} | dict(unknown or {})
    values = {
        n: state[n].numel() if n in state else abs(prod(shape)) for n, shape in needed.items()
    }
    matched = tuple(n for n, fit in fits.items() if fit)
    total = sum(values.values()) + sum(value.numel() for value in strangers.values())
    return Coverage(
        part=part,
        title=plan.title,
        matched=matched,
        missing=tuple(n for n in needed if n not in state),
        mismatched=tuple(
            f'{n}: {tuple(state[n].shape)} instead of {_wanted(shape)}'
            for n, shape in needed.items()
            if n in state and not fits[n]
        ),
        unexpected=tuple(strangers),
        left_out=tuple(left_out),
        share=min(
            len(matched) / max(len(needed) + len(strangers), 1),
            sum(values[n] for n in matched) / max(total, 1),
        ),
        faults=tuple(faults),
    )


def _fits(shape: Shape, wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        size == want or want < 0 for size, want in zip(shape, wanted, strict=True)
    )


def _wanted(shape: Shape) -> str:
    return str(shape).replace('-1', 'any')


def as_table(reports: Iterable[Coverage], title: str) -> Table:
    """One row per network and kind, with the first names."""
    table = Table('network', 'kind', 'tensors', 'first of them', title=title)
    for report in reports:
        for row, kind in enumerate(('matched', 'missing', 'mismatched', 'unexpected', 'left_out')):
            names = getattr(report, kind)
            label = 'shape mismatch' if kind == 'mismatched' else kind.replace('_', ' ')
            head = (f'{report.part}', report.title)[row] if row < 2 else ''
            table.add_row(head, label, str(len(names)), '\n'.join(names[:4]))
        table.add_row('', 'coverage', f'{report.share:.1%}', '', end_section=True)
    return table
