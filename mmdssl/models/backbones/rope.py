"""Rotary positions of DINOv3: queries and keys of patches turn by where their patch lies.

There is no position table: the coordinates of the patch centres fill [-1, 1] in both axes whatever
the grid, so another image size samples the same square more finely. A head of d channels has d / 4
frequencies an axis, first those of y, then those of x, and the whole twice; channel i turns
with channel i + d / 2 (not with its neighbour, as in EVA-02). CLS and registers do not turn.
"""

import math
from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor, nn

__all__ = ['RotaryPositions', 'rotate']

Normalize = Literal['separate', 'max', 'min']
Draw = Literal['block', 'pass']
Periods = Literal['file', 'exact']


class RotaryPositions(nn.Module):
    """Cosines and sines for a grid of patches, with the coordinate augmentations of training.

    The buffer ``periods`` is part of checkpoints: the published ones hold values rounded to
    bfloat16, which shifts features by far more than float32 rounding does.

    Args:
        head_dims: Channels d of a head, a multiple of 4.
        base: Longest period over the shortest, before the last frequency is left out.
        normalize: By which length of the grid each axis is scaled to [-1, 1]: its own
            (``'separate'``, all published weights), or the longer or shorter for both.
        shift: s >= 0: in training each axis moves by a uniform draw from [-s, s].
        jitter: J >= 1: in training each axis is scaled by exp(U(-ln J, ln J)), own draw per axis.
        rescale: R >= 1: the same with one draw for both axes. DINOv3 was trained with 2.
        draw: ``'block'``: every block draws anew (DINOv3's own code); ``'pass'``: once a forward
            pass (as transformers and timm do).
        periods: ``'file'``: those of the buffer, which loading fills; ``'exact'``: always
            base ** (4 j / d).

    Raises:
        ValueError: For settings out of range.
    """

    def __init__(
        self,
        *,
        head_dims: int,
        base: float = 100.0,
        normalize: Normalize = 'separate',
        shift: float = 0.0,
        jitter: float = 1.0,
        rescale: float = 1.0,
        draw: Draw = 'block',
        periods: Periods = 'file',
    ) -> None:
        super().__init__()
        if head_dims % 4:
            raise ValueError(
                f'rope: heads have {head_dims} channels, two axes need a multiple of 4'
            )
        for name, value, known in (
            ('normalize', normalize, get_args(Normalize)),
            ('draw', draw, get_args(Draw)),
            ('periods', periods, get_args(Periods)),
        ):
            if value not in known:
                raise ValueError(f'rope: {name}={value!r} must be one of {", ".join(known)}')
        if base <= 1 or shift < 0 or jitter < 1 or rescale < 1:
            raise ValueError(
                f'rope: base={base} must be above 1, shift={shift} at least 0, jitter={jitter} and '
                f'rescale={rescale} at least 1'
            )
        self.head_dims, self.base, self.normalize = head_dims, base, normalize
        self.shift, self.jitter, self.rescale = shift, jitter, rescale
        self.draw, self.source = draw, periods
        self.periods: Tensor
        self.register_buffer('periods', self.exact_periods().float())

    def exact_periods(self) -> Tensor:
        """(d / 4,) float64: base ** (4 j / d)."""
        count = self.head_dims // 4
        return self.base ** (torch.arange(count, dtype=torch.float64) / count)

    def rotations(
        self, grid: tuple[int, int], blocks: int, like: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Cosines and sines for every block of one forward pass.

        Args:
            grid: Patches (h, w).
            blocks: How many blocks.
            like: Tells the device, and float64 where the tables are to be float64.

        Yields:
            Two (h*w, d), float32 or float64; the same ones for every block unless it draws.
        """
        drawing = self.training and (self.shift > 0 or self.jitter > 1 or self.rescale > 1)
        table = None
        for _ in range(blocks):
            if table is None or (drawing and self.draw == 'block'):
                table = self.table(grid, like, *(self.draws(like) if drawing else ()))
            yield table

    def draws(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """One draw of the augmentation: what multiplies (y, x), and before that what is added."""
        wide = torch.float64 if like.dtype == torch.float64 else torch.float32
        shift, jitter, rescale = (
            bound * (2 * torch.rand(count, device=like.device, dtype=wide) - 1)
            for bound, count in (
                (self.shift, 2),
                (math.log(self.jitter), 2),
                (math.log(self.rescale), 1),
            )
        )
        return (jitter + rescale).exp(), shift

    def table(
        self,
        grid: tuple[int, int],
        like: Tensor,
        factor: Tensor | float = 1.0,
        shift: Tensor | float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines of a grid.

        Args:
            grid: Patches (h, w).
            like: See :meth:`rotations`.
            factor: Multiplies the shifted coordinates: a number, or (2,) for y and x.
            shift: Is added to the coordinates first: a number, or (2,) for y and x.

        Returns:
            Two (h*w, d), row-major.
        """
        wide = torch.float64 if like.dtype == torch.float64 else torch.float32
        sides = {'separate': grid, 'max': (max(grid),) * 2, 'min': (min(grid),) * 2}[self.normalize]
        axes = [
            2 * (torch.arange(length, device=like.device, dtype=wide) + 0.5) / side - 1
            for length, side in zip(grid, sides, strict=True)
        ]
        centres = torch.stack(torch.meshgrid(*axes, indexing='ij'), dim=-1).flatten(0, 1)
        centres = (centres + shift) * factor  # (h*w, 2)
        periods = self.exact_periods() if self.source == 'exact' else self.periods
        # (h*w, 2, 1) / (q,) -> (h*w, 2, q) -> (h*w, 2 q) -> (h*w, d)
        angles = 2 * math.pi * centres[..., None] / periods.to(centres)
        angles = angles.flatten(1).repeat(1, 2)
        return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the last tokens of queries or keys; those in front (CLS, registers) stay.

    Args:
        x: (..., T, d), T >= P.
        cos: (P, d), float32 or float64, in whose precision the turning is computed.
        sin: (P, d).

    Returns:
        (..., T, d), dtype of ``x``.
    """
    first = x.shape[-2] - len(cos)
    patches = x[..., first:, :].to(cos.dtype)
    low, high = patches.chunk(2, dim=-1)
    turned = patches * cos + torch.cat((-high, low), dim=-1) * sin
    return torch.cat((x[..., :first, :], turned.to(x.dtype)), dim=-2)
