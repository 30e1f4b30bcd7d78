"""The look that all pictures of the package share: colours, type sizes, saving.

Figures are built on matplotlib's ``Figure`` directly and never on ``pyplot``: no
window system, no global state, safe inside a training process.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmdssl.datasets.channels import false_colours

__all__ = [
    'COLOURS',
    'INK',
    'MUTED',
    'Denormalise',
    'as_image',
    'loaded_image',
    'overlay',
    'photo_image',
    'picture_axes',
    'save_figure',
    'sheet',
]

#: Okabe and Ito's palette, distinguishable with every common colour vision deficiency.
COLOURS = {
    'blue': '#0072B2',
    'orange': '#E69F00',
    'green': '#009E73',
    'vermillion': '#D55E00',
    'purple': '#CC79A7',
    'sky': '#56B4E9',
    'yellow': '#F0E442',
}
INK = '#1f2328'
MUTED = '#6b7280'

_STYLE: Any = {  # matplotlib's own type lists every key
    'font.size': 9,
    'font.family': 'DejaVu Sans',
    'text.color': INK,
    'axes.edgecolor': '#c4c9d0',
    'axes.labelcolor': INK,
    'axes.titlesize': 10,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#e8eaed',
    'xtick.color': MUTED,
    'ytick.color': MUTED,
    'legend.frameon': False,
    'lines.linewidth': 1.8,
    'lines.solid_capstyle': 'round',
}


def sheet(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of axes in the shared style.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        width: Inches.
        height: Inches.

    Returns:
        The figure and its axes, an object array (rows, columns).
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout='constrained', facecolor='white')
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, axes


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 110) -> Path:
    """Write a figure as PNG; a reader never meets half a file.

    Args:
        figure: The figure.
        path: Target; its folder is created.
        dpi: Dots per inch.

    Returns:
        The path written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + '.part')
    with rc_context(_STYLE):
        # No software tag and no date: the same figure gives the same bytes.
        figure.savefig(part, dpi=dpi, format='png', metadata={'Software': None})
    os.replace(part, path)
    return path


def picture_axes(axes: Axes) -> Axes:
    """Axes that hold a picture: no ticks, no grid, no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def as_image(pixels: Tensor | np.ndarray) -> np.ndarray:
    """(3, H, W) RGB, uint8 or float in 0..255, to the (H, W, 3) uint8 matplotlib shows.

    Of other images of n channels the first three are shown, of two the second twice, one as grey.
    """
    values = pixels.detach().cpu().numpy() if isinstance(pixels, Tensor) else np.asarray(pixels)
    if len(values) != 3:
        values = values[np.minimum(range(3), len(values) - 1)]
    if values.dtype != np.uint8:
        values = np.rint(values).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(values.transpose(1, 2, 0))


def loaded_image(pixels: Tensor) -> np.ndarray:
    """:func:`as_image` of pixels as a loader gives them: uint8, or float in [0, 1]."""
    return as_image(pixels * 255 if pixels.is_floating_point() else pixels)


def photo_image(pixels: Tensor | np.ndarray) -> np.ndarray:
    """A whole image as a loader gives it, of n channels by its `false_colours`, (H, W, 3) uint8.

    Views of one image are drawn by :func:`loaded_image`: their colours have to be the same.
    """
    values = torch.as_tensor(pixels).detach().cpu()
    return false_colours(values.permute(1, 2, 0).numpy())


def overlay(
    image: np.ndarray, mask: np.ndarray, *, colour: str, strength: float = 0.75
) -> np.ndarray:
    """Tint the part of an image that a mask marks.

    Args:
        image: (H, W, 3) uint8.
        mask: (h, w) bool at any resolution; each cell covers its share of the image.
        colour: Hex colour of the tint.
        strength: 0 leaves the image, 1 paints it over.

    Returns:
        (H, W, 3) uint8; unmarked pixels are unchanged.
    """
    height, width = image.shape[:2]
    rows = np.arange(height) * mask.shape[0] // height
    columns = np.arange(width) * mask.shape[1] // width
    marked = mask[np.ix_(rows, columns)]
    tint = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)
    tinted = image * (1 - strength) + tint * strength
    return np.where(marked[..., None], np.rint(tinted).astype(np.uint8), image)


class Denormalise:
    """Normalised images (N, C, H, W) back to 0..255.

    Mean and standard deviation are not asked for but measured, on black and
    white, so that any preprocessor that normalises each channel will do.
    """

    def __init__(self, data_preprocessor: nn.Module) -> None:
        probe = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None]  # (2, 1, 1, 1)
        mean = getattr(data_preprocessor, 'mean', None)
        channels = 3 if mean is None else len(mean)
        probe = probe.expand(2, channels, 8, 8).contiguous()
        self.black, self.white = data_preprocessor({'inputs': probe}, training=False)['inputs'][
            :, :, :1, :1
        ]  # (C, 1, 1) each

    def __call__(self, images: Tensor) -> Tensor:
        return (images - self.black) / (self.white - self.black) * 255
