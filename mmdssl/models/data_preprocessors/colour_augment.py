"""Applies drawn colour parameters to a batch, touching each sample only where its draw says so.

Samples are handled in an order of our own (blurred ones first, then by their sequence of jitter
operations), so that those which share an operation are neighbours: it then runs on a slice, in
place, with no masks and no copies. On a CPU the batch goes through in groups that stay in the
cache from the first operation to the last, which is worth more than any single kernel.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import torch
from torch import Tensor

from mmdssl.models.data_preprocessors.colour_ops import (
    adjust_brightness_,
    adjust_contrast_,
    adjust_hue_,
    adjust_saturation_,
    grayscale_,
    normalize_,
    solarize_,
    to_float,
)
from mmdssl.models.data_preprocessors.colour_policy import JITTER_OPS, ColourDraws
from mmdssl.models.data_preprocessors.gaussian_blur import blur_radius, gaussian_blur

__all__ = ['AUG_ORDERS', 'augment_colours']

AUG_ORDERS = ('ibot_d', 'ibot')
# Pixels of a group on one CPU thread: five images of 224 px. Their 15 colour planes fill the 16
# lanes of oneDNN's depth-wise convolution, and the group (3 MB) with what it needs stays in cache.
_GROUP_PIXELS = 5 * 224 * 224
_JITTER_FUNCTIONS = (
    adjust_brightness_,
    adjust_contrast_,
    adjust_saturation_,
    adjust_hue_,
)


@lru_cache
def _keep_freed_memory() -> None:
    """Makes the C library keep freed memory for the next group instead of returning it.

    glibc hands blocks back to the kernel above a threshold that follows the largest block freed
    so far, up to 32 MiB; the kernel then clears every page anew, which cost up to twice the time
    of the colours themselves. Freeing one large block, never written to, sets the threshold.
    Other C libraries do not mind.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


@torch.no_grad()
def augment_colours(
    images: Tensor,
    draws: ColourDraws,
    *,
    mean: Tensor,
    std: Tensor,
    aug_order: str = 'ibot_d',
    radius: int | None = None,
    channels_last: bool = False,
) -> Tensor:
    """Blurs, jitters, makes grey, solarises and normalises a batch.

    Always computes in float32, whatever autocast says.

    Args:
        images: (N, C, H, W), uint8 in 0..255 or floating point in [0, 1]; left as they are.
        draws: Parameters of the N samples, on the CPU; where C is not 3, of a policy without hues.
        mean: (C,) float32 on the device of ``images``, of values in [0, 1].
        std: (C,) float32 on the device of ``images``, of values in [0, 1].
        aug_order: 'ibot_d' blurs first, as the published iBOT-D code does, which blurs in the
            loader and changes colours on the device: blur, jitter, grayscale, solarise. 'ibot' is
            the order of the original iBOT: jitter, grayscale, blur, solarise.
        radius: Radius of the blur kernel in pixels; None takes the one for the largest sigma
            drawn, which then depends on the batch.
        channels_last: Give the result in the channels-last memory format.

    Returns:
        (N, C, H, W) float32, normalised.
    """
    if radius is None:
        radius = blur_radius(float(draws.sigma.max()))
    out = torch.empty(
        images.shape,
        dtype=torch.float32,
        device=images.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )
    rows = _neighbours(draws)
    size = len(rows)
    if images.device.type == 'cpu':
        _keep_freed_memory()
        pixels = images.shape[2] * images.shape[3]
        size = max(1, _GROUP_PIXELS * torch.get_num_threads() // pixels)
    with torch.autocast(images.device.type, enabled=False):
        for group in rows.split(size):
            where = group.to(images.device, non_blocking=True)
            batch = to_float(images.index_select(0, where))
            batch = _apply(batch, draws[group], aug_order, radius)
            out.index_copy_(0, where, normalize_(batch, mean, std))
    return out


def _neighbours(draws: ColourDraws) -> Tensor:
    """Rows sorted so that equal treatment is adjacent: blurred first, then by jitter order."""
    base = len(JITTER_OPS) + 1
    powers = base ** torch.arange(len(JITTER_OPS) - 1, -1, -1)
    key = (draws.order + 1) @ powers  # lexicographic
    key += draws.sigma.eq(0) * base ** len(JITTER_OPS)
    return key.argsort(stable=True)


def _apply(batch: Tensor, draws: ColourDraws, aug_order: str, radius: int) -> Tensor:
    """All changes up to the normalisation on a batch of our own, whose rows are sorted."""
    if aug_order == 'ibot_d':
        batch = _blur(batch, draws.sigma, radius)
    factors = draws.factors.to(batch.device, non_blocking=True)
    _jitter_(batch, draws.order.tolist(), factors, 0, len(batch), 0)
    rows = draws.grayscale.nonzero().flatten()
    if len(rows):
        rows = rows.to(batch.device, non_blocking=True)
        batch.index_copy_(0, rows, grayscale_(batch.index_select(0, rows)))
    if aug_order == 'ibot':
        batch = _blur(batch, draws.sigma, radius)
    rows = draws.threshold.isfinite().nonzero().flatten()
    if len(rows):
        thresholds = draws.threshold[rows].to(batch.device, non_blocking=True)
        rows = rows.to(batch.device, non_blocking=True)
        batch.index_copy_(0, rows, solarize_(batch.index_select(0, rows), thresholds))
    return batch


def _blur(batch: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blurs the rows of sigma > 0, which come first."""
    n = int(sigma.count_nonzero())
    if n == 0:
        return batch
    sigma = sigma[:n].to(batch.device, non_blocking=True)
    if n == len(batch):
        return gaussian_blur(batch, sigma, radius)
    batch[:n] = gaussian_blur(batch[:n], sigma, radius)
    return batch


def _jitter_(
    batch: Tensor,
    order: Sequence[Sequence[int]],
    factors: Tensor,
    start: int,
    stop: int,
    place: int,
) -> None:
    """Jitters rows ``start`` to ``stop``, which share their first ``place`` operations."""
    if place == len(JITTER_OPS):
        return
    for op, run in groupby(range(start, stop), key=lambda row: order[row][place]):
        if op < 0:
            continue
        rows = list(run)
        first, last = rows[0], rows[-1] + 1
        _JITTER_FUNCTIONS[op](batch[first:last], factors[first:last, op])
        _jitter_(batch, order, factors, first, last, place + 1)
