"""What a vision transformer counts besides patches: class token, registers, rows of its table.

A position table is the one tensor that fits by every name and width and still may belong to
another network: built without a row for the class token, with one for a distillation token or for
registers. Such a file is complete by its tensors and computes something else in ours.
"""

import math
import re
from collections.abc import Iterable

__all__ = ['extra_tokens', 'other_table', 'table_side']

_EXTRA = re.compile(
    r'(.*\.)?(reg_tokens?|register_tokens?|registers|storage_tokens?|dist_token|distill\w*_token)'
)
# Rows beside the patches, other than one for the class token, and what they are for.
_ROWS = {
    0: 'it has no row for the class token (as with no_embed_class=True of timm): the same network '
    'has a row of zeros in front of the others',
    2: 'it seems to have a row for a distillation token, which the ViT here does not have',
    5: 'it seems to have rows for 4 registers, which the ViT here does not have',
    9: 'it seems to have rows for 8 registers, which the ViT here does not have',
}


def extra_tokens(names: Iterable[str]) -> list[str]:
    """The names that are tokens beside class and mask: registers, a distillation token."""
    return [name for name in names if _EXTRA.fullmatch(name)]


def other_table(rows: int) -> tuple[int, str] | None:
    """What a position table is made for that is none of one class token and a square grid.

    Args:
        rows: Of the table.

    Returns:
        Rows that a table for the same grid has here, and a sentence; None for tables that fit, and
        for grids that are not square, of which nothing can be told.
    """
    if rows < 2:
        return (
            2,
            f'the position table has {rows} rows, which leaves no patch beside the class token',
        )
    if _square(rows - 1):
        return None
    for others, reason in _ROWS.items():
        if rows > others and (side := _square(rows - others)):
            return 1 + side**2, f'the position table has {rows} rows: {reason}'
    return None


def table_side(rows: int, others: int = 1) -> int:
    """Side of the square grid that a position table is made for.

    Args:
        rows: Of the table.
        others: Of them not of patches.

    Raises:
        ValueError: If the grid is not square.
    """
    side = _square(rows - others)
    if side is None:
        other = other_table(rows) if others == 1 else None
        reason = other[1] if other else f'the position table has {rows} rows'
        raise ValueError(
            f'{reason}; beside {others} for the class token that is no square grid of patches '
            f'({rows - others}), so it cannot be brought to another grid'
        )
    return side


def _square(number: int) -> int | None:
    side = math.isqrt(max(number, 0))
    return side if side and side * side == number else None
