"""Maps of local semantic consistency, as in Fig. 17 and 18 of "Mind Your Augmentation"."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from mmdssl.visualization.figure import MUTED, photo_image, picture_axes, save_figure, sheet

__all__ = ['draw_consistency']

_MAP = 'cividis'  # even in lightness, the same to colour-blind readers


def draw_consistency(
    images: Tensor | Sequence[Tensor | np.ndarray],
    maps: Mapping[str, Sequence[Tensor | np.ndarray]],
    path: str | Path,
    *,
    border: float = 2 / 32,
) -> Path:
    """Photos in the first row, then a row of LSC maps for every network; brighter is higher.

    All maps share one colour scale, so that rows can be compared; every row names its mean. A map
    covers the centres of the crops only: a rim of ``border`` of the photo has no value and is
    left blank.

    Args:
        images: N photos (3, H, W) uint8 RGB, or of n channels.
        maps: By network, N maps (I, J) of cosines.
        path: PNG to write.
        border: Rim on each side without crop centres, as a share of the photo's side: two of 32
            patches for the paper's crops.

    Returns:
        The path written.

    Raises:
        ValueError: If there is no map, or not one for each photo.
    """
    rows = {name: [np.asarray(torch.as_tensor(m)) for m in own] for name, own in maps.items()}
    wrong = {name: len(own) for name, own in rows.items() if len(own) != len(images)}
    if wrong or not rows or not len(images):
        raise ValueError(f'{len(images)} photos need as many maps of each network, got {wrong}')
    flat = np.concatenate([m.ravel() for own in rows.values() for m in own])
    # Single outliers must not eat the scale.
    low, high = np.quantile(flat, [0.005, 0.995])
    norm = Normalize(float(low), float(max(high, low + 1e-3)))
    scale = ScalarMappable(norm, cmap=_MAP)
    number = len(images)
    figure, axes = sheet(
        1 + len(rows), number, width=2.0 + 1.35 * number, height=0.2 + 1.4 * (1 + len(rows))
    )
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=0.12)  # the names of the rows stand left of the axes
    for column, image in enumerate(images):
        picture_axes(axes[0, column]).imshow(photo_image(image), extent=(0, 1, 1, 0))
        for row, own in enumerate(rows.values(), start=1):
            place = picture_axes(axes[row, column])
            place.imshow(
                own[column],
                extent=(border, 1 - border, 1 - border, border),
                cmap=_MAP,
                norm=norm,
                interpolation='nearest',
            )
            place.set(xlim=(0, 1), ylim=(1, 0))
    style = dict(rotation=0, ha='right', va='center', labelpad=6)
    axes[0, 0].set_ylabel('photo', **style)
    for row, (name, own) in enumerate(rows.items(), start=1):
        mean = np.mean([m.mean() for m in own])
        axes[row, 0].set_ylabel(f'{name}\nmean {mean:.3f}', **style)
    bar = figure.colorbar(scale, ax=list(axes[1:].ravel()), shrink=0.7, aspect=24, pad=0.01)
    bar.set_label('LSC (cosine)', fontsize=7.5)
    bar.ax.tick_params(labelsize=7, colors=MUTED)
    bar.outline.set_visible(False)
    return save_figure(figure, path)
