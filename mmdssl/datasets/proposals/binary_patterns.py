"""Local binary patterns, eight neighbours at distance 1, in whole numbers.

The codes are those of scikit-image's ``local_binary_pattern(channel, 8, 1.0)``.
Bit i is set where the picture, 45 i degrees from the pixel (anti-clockwise from the right),
is at least as bright as the pixel c itself; outside of the picture it is black. Diagonal neighbours
lie between pixels, at 0.70711 = A / 100000 of a step in x and y, and are interpolated. With the
diagonal pixel d, the two pixels n, m beside it and B = 100000 - A,

    A^2 d + A B (n + m) + B^2 c >= (A + B)^2 c   <=>   A d + B (n + m) >= (A + 2 B) c

holds without any rounding. Only where both sides are equal does the rounding of scikit-image's
interpolation decide, and there it is repeated.
"""

import numpy as np
import numpy.typing as npt

__all__ = ['binary_patterns']

_A = 70711
_B = 100000 - _A
_STRAIGHT = ((0, 0, 1), (2, -1, 0), (4, 0, -1), (6, 1, 0))  # bit, step in y, step in x
_DIAGONAL = ((1, -1, 1), (3, -1, -1), (5, 1, -1), (7, 1, 1))


def binary_patterns(channel: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Codes of one channel.

    Args:
        channel: (H, W) uint8.

    Returns:
        (H, W) uint8.
    """
    height, width = channel.shape
    padded = np.pad(channel, 1)
    # A d, B n and (A + 2 B) c of every pixel: at most 255 * 129289, well within 32 bits.
    scaled = padded.astype(np.int32)
    far, near = scaled * _A, scaled * _B
    own = scaled[1:-1, 1:-1] * (_A + 2 * _B)

    def moved(array: npt.NDArray, y: int, x: int) -> npt.NDArray:
        return array[1 + y : 1 + y + height, 1 + x : 1 + x + width]

    codes = np.zeros((height, width), np.uint8)
    for bit, y, x in _STRAIGHT:
        codes |= (moved(padded, y, x) >= channel).view(np.uint8) << np.uint8(bit)
    for bit, y, x in _DIAGONAL:
        sides = moved(far, y, x) + moved(near, y, 0)
        sides += moved(near, 0, x)
        sides -= own
        bright = sides > 0
        tied = np.flatnonzero(sides == 0)
        if len(tied):
            bright.ravel()[tied] = _rounded_is_bright(padded, tied, y, x, width)
        codes |= bright.view(np.uint8) << np.uint8(bit)
    return codes


def _rounded_is_bright(
    padded: npt.NDArray[np.uint8], tied: npt.NDArray[np.int64], y: int, x: int, width: int
) -> npt.NDArray[np.bool_]:
    """The comparison of interpolated neighbours in double precision, step by step as published.

    Args:
        padded: (H + 2, W + 2), the picture with a black border.
        tied: (M,) flat indices of pixels in the picture.
        y: Step of the neighbour, -1 or 1.
        x: Step of the neighbour, -1 or 1.
        width: W.

    Returns:
        (M,) bool.
    """
    row, column = np.divmod(tied, width)
    place_y, place_x = row + y * 0.70711, column + x * 0.70711
    low_y, low_x = row + min(y, 0), column + min(x, 0)
    share_y, share_x = place_y - low_y, place_x - low_x
    first = (low_y + 1) * padded.shape[1] + low_x + 1
    flat = padded.ravel()

    def at(down: int, right: int) -> npt.NDArray[np.float64]:
        return flat[first + down * padded.shape[1] + right].astype(np.float64)

    top = (1 - share_x) * at(0, 0) + share_x * at(0, 1)
    bottom = (1 - share_x) * at(1, 0) + share_x * at(1, 1)
    centre = flat[(row + 1) * padded.shape[1] + column + 1]
    return (1 - share_y) * top + share_y * bottom >= centre
