"""Position tables: the constant one of MAE; how official code resizes learned ones.

There are three rules, which differ by up to about a third of the table's standard deviation, even
between grids of the same sizes. Which one a network was trained with belongs to its weights, not
to the code that happens to load them:

* ``'factor'``: bicubic interpolation is handed the *scale factors* ``(target + 0.1) / source``.
  Where images of another size pass a network of DINO, iBOT or DINOv2 (without registers):
  pre-training, frozen evaluation, and every forward pass of fine-tuning.
* ``'size'``: it is handed the target size. Where the loaders of detection and segmentation bring
  the pre-trained table to the grid of their images, once.
* ``'antialias'``: target size and antialiasing, which changes enlarged tables, too. DINOv2 with
  registers, everywhere.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Rule = Literal['factor', 'size', 'antialias']


def check_rule(rule: str, name: str = 'rule') -> None:
    """Refuse what is no rule.

    Args:
        rule: See the module.
        name: Of the setting that has it, for the message.

    Raises:
        ValueError: If there is no such rule.
    """
    if rule not in get_args(Rule):
        known = ', '.join(map(repr, get_args(Rule)))
        raise ValueError(f'{name}={rule!r} must be one of {known}')


def resize_position_embedding(
    table: Tensor,
    source: tuple[int, int],
    target: tuple[int, int],
    *,
    extra_tokens: int = 1,
    rule: Rule = 'factor',
) -> Tensor:
    """Resample the patch part of a position table to another grid.

    Args:
        table: Position embeddings, (1, extra_tokens + source_h * source_w, C), float.
        source: Grid (height, width) that the table was made for.
        target: Grid (height, width) wanted.
        extra_tokens: Leading tokens without a place in the grid (CLS); copied.
        rule: See the module.

    Returns:
        (1, extra_tokens + target_h * target_w, C), same dtype; ``table`` itself
        where the grids agree.

    Raises:
        ValueError: If the table's length does not fit ``source``, or there is no such rule.
    """
    check_rule(rule)
    if source == target:
        return table
    length = table.shape[1]
    if length != extra_tokens + source[0] * source[1]:
        raise ValueError(
            f'position table has {length} rows, but {extra_tokens} extra tokens and a grid of '
            f'{source[0]}x{source[1]} need {extra_tokens + source[0] * source[1]}: check img_size '
            'and patch_size'
        )
    extra, patches = table[:, :extra_tokens], table[:, extra_tokens:]
    # (1, L, C) -> (1, C, h, w)
    grid = patches.reshape(1, *source, -1).permute(0, 3, 1, 2)
    # Bicubic kernels exist in single and double precision only.
    wide = grid if grid.dtype == torch.float64 else grid.float()
    if rule != 'factor':
        resized = F.interpolate(
            wide, size=target, mode='bicubic', align_corners=False, antialias=rule == 'antialias'
        )
    else:
        resized = F.interpolate(
            wide,
            scale_factor=((target[0] + 0.1) / source[0], (target[1] + 0.1) / source[1]),
            mode='bicubic',
            align_corners=False,
            recompute_scale_factor=False,
        )
    # (1, C, H, W) -> (1, H*W, C)
    resized = resized.flatten(2).transpose(1, 2).to(table.dtype)
    return torch.cat((extra, resized), dim=1)


def sincos_position_embedding(grid: tuple[int, int], dims: int) -> Tensor:
    """The constant table of MAE (CVPR 2022): sines and cosines of column, then of row.

    mmpretrain's function of the same purpose puts the row first, so that official weights
    would see a transposed image.

    Args:
        grid: Patches (height, width).
        dims: Width C, a multiple of 4.

    Returns:
        (1, 1 + height * width, C) float32, zeros for CLS, then row-major.
    """
    frequency = 10000.0 ** -(torch.arange(dims // 4, dtype=torch.float64) / (dims // 4))
    rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in grid), indexing='ij')
    angles = [x.flatten()[:, None] * frequency for x in (columns, rows)]  # (L, C/4)
    table = torch.cat([part for x in angles for part in (x.sin(), x.cos())], dim=1)
    return torch.cat((table.new_zeros(1, dims), table))[None].float()
