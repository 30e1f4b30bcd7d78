"""Pictures of attentive masking: what the teacher attends to, and which patches a student gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from mmdssl.models.algorithms.maskalign import MaskAlign
from mmdssl.visualization.figure import (
    MUTED,
    Denormalise,
    as_image,
    overlay,
    picture_axes,
    save_figure,
    sheet,
)

__all__ = ['AttentiveImage', 'draw_attentive_masks', 'draws_of']


@dataclass(frozen=True)
class AttentiveImage:
    """A view and what becomes of it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        importance: (h, w) float, the teacher's attention from CLS, mean over heads.
        kept: (draws, h, w) bool, patches that the student gets, of several draws.
    """

    image: np.ndarray
    importance: np.ndarray
    kept: np.ndarray


@torch.no_grad()
def draws_of(model: MaskAlign, images: Tensor, *, draws: int = 2) -> list[AttentiveImage]:
    """Let a model look at images and choose patches.

    Args:
        model: With the teacher's weights read.
        images: (N, 3, H, W) uint8 RGB, in the size of the training views.
        draws: How often to choose.
    """
    normalised = model.data_preprocessor(dict(inputs=images), False)['inputs']
    importance = model.teacher(normalised, ()).importance  # (N, L)
    kept = torch.stack([model.kept_patches(importance) for _ in range(draws)], dim=1)
    empty = torch.zeros(len(images), draws, importance.shape[1], dtype=torch.bool)
    chosen = empty.scatter(2, kept.cpu(), True).unflatten(2, model.teacher.grid)
    maps = importance.unflatten(1, model.teacher.grid).cpu()
    shown = Denormalise(model.data_preprocessor)(normalised).cpu()
    return [
        AttentiveImage(as_image(image), weight.numpy(), mask.numpy())
        for image, weight, mask in zip(shown, maps, chosen, strict=True)
    ]


def draw_attentive_masks(images: Sequence[AttentiveImage], path: str | Path) -> Path:
    """Draw images, a row each: the view, the attention over it, and the kept patches of each draw.

    Args:
        images: As :func:`draws_of` gives them, all with as many draws.
        path: PNG to write.

    Returns:
        The path written.

    Raises:
        ValueError: Without images.
    """
    if not images:
        raise ValueError('draw_attentive_masks: no images to draw')
    draws = len(images[0].kept)
    columns = 2 + draws
    figure, axes = sheet(len(images), columns, width=1.9 * columns, height=2.05 * len(images) + 0.3)
    for line, entry in zip(axes, images, strict=True):
        height, width = entry.image.shape[:2]
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        for place in line:
            picture_axes(place)
        line[0].imshow(entry.image)
        line[1].imshow(entry.image)
        line[1].imshow(
            entry.importance, extent=extent, cmap='magma', alpha=0.75, interpolation='nearest'
        )
        patch, flat = entry.importance.size, 1 / entry.importance.size
        peak = entry.importance.max() / max(entry.importance.sum(), 1e-12) / flat
        _note(line[1], f'peak {peak:.1f} x mean')
        for place, kept in zip(line[2:], entry.kept, strict=True):
            place.imshow(overlay(entry.image, ~kept, colour='#ffffff', strength=0.85))
            share = entry.importance[kept].sum() / max(entry.importance.sum(), 1e-12)
            _note(place, f'{kept.sum()} of {patch}, {share:.0%} of attention')
    titles = ('view', "teacher's attention", *(f'student sees, draw {i + 1}' for i in range(draws)))
    for place, title in zip(axes[0], titles, strict=True):
        place.set_title(title, fontsize=8)
    return save_figure(figure, path)


def _note(place: Axes, text: str) -> None:
    place.set_xlabel(text, fontsize=7, color=MUTED, labelpad=2)
