"""Canvases that rectangles are cut out of: the speed of every mask in this package.

A mask is built by counting, cutting and restoring a handful of rectangles. On
a patch grid (14x14) the fixed price of a NumPy call is most of the time, so a
small canvas is one Python integer with a bit per cell; a canvas of pixels is a
NumPy array. Both hold the same cells, and callers need not know which one
they have.
"""

from functools import lru_cache

import numpy as np

__all__ = ['ArrayCanvas', 'BitCanvas', 'make_canvas']

# Above about 64x64 cells the integer's length costs more than NumPy's calls (measured).
_MAX_BITS = 64 * 64


@lru_cache(maxsize=64)
def _column_patterns(height: int, width: int) -> list[int]:
    """Entry h: an integer with the first bit of h consecutive rows of ``width`` bits set."""
    patterns = [0]
    for row in range(height):
        patterns.append(patterns[-1] | 1 << (row * width))
    return patterns


class BitCanvas:
    """A small boolean canvas, one bit of a Python integer per cell.

    Rectangles are half-open cell ranges ``[left, right) x [top, bottom)`` and
    must lie on the canvas.

    Args:
        height: rows.
        width: columns.
    """

    __slots__ = ('_cells', '_columns', 'height', 'width')

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self._columns = _column_patterns(height, width)
        self._cells = 0

    def count(self, left: int, top: int, right: int, bottom: int) -> int:
        """Number of cut cells inside the rectangle."""
        row = ((1 << (right - left)) - 1) << (left + top * self.width)
        return (self._cells & row * self._columns[bottom - top]).bit_count()

    def cut(self, left: int, top: int, right: int, bottom: int) -> None:
        """Set every cell of the rectangle."""
        row = ((1 << (right - left)) - 1) << (left + top * self.width)
        self._cells |= row * self._columns[bottom - top]

    def restore(self, left: int, top: int, right: int, bottom: int) -> None:
        """Clear every cell of the rectangle."""
        row = ((1 << (right - left)) - 1) << (left + top * self.width)
        self._cells &= ~(row * self._columns[bottom - top])

    def to_array(self) -> np.ndarray:
        """The canvas as a bool array (height, width), True = cut."""
        area = self.height * self.width
        packed = np.frombuffer(self._cells.to_bytes((area + 7) // 8, 'little'), np.uint8)
        cells = np.unpackbits(packed, count=area, bitorder='little')
        return cells.view(bool).reshape(self.height, self.width)


class ArrayCanvas:
    """A boolean canvas of any size in a NumPy array; same methods as :class:`BitCanvas`.

    Args:
        height: rows.
        width: columns.
    """

    __slots__ = ('_cells', 'height', 'width')

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self._cells = np.zeros((height, width), bool)

    def count(self, left: int, top: int, right: int, bottom: int) -> int:
        """Number of cut cells inside the rectangle."""
        return int(np.count_nonzero(self._cells[top:bottom, left:right]))

    def cut(self, left: int, top: int, right: int, bottom: int) -> None:
        """Set every cell of the rectangle."""
        self._cells[top:bottom, left:right] = True

    def restore(self, left: int, top: int, right: int, bottom: int) -> None:
        """Clear every cell of the rectangle."""
        self._cells[top:bottom, left:right] = False

    def to_array(self) -> np.ndarray:
        """The canvas as a bool array (height, width), True = cut."""
        return self._cells


def make_canvas(height: int, width: int) -> BitCanvas | ArrayCanvas:
    """An empty canvas of the kind that is faster at this size."""
    if height * width <= _MAX_BITS:
        return BitCanvas(height, width)
    return ArrayCanvas(height, width)
