"""Pictures of Leopart: overlaps of crops, where the teacher looks, and what clusters it sees.

Nothing here repeats the method's rules: the model's own parts compute masks and scores.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.models.algorithms.leopart import Leopart
from mmdssl.models.utils.attention_foreground import tokens_and_attention
from mmdssl.visualization.figure import (
    COLOURS,
    MUTED,
    Denormalise,
    as_image,
    overlay,
    picture_axes,
    save_figure,
    sheet,
)
from mmdssl.visualization.marks import Boxes, draw_boxes

__all__ = ['LeopartMaps', 'draw_leopart', 'leopart_maps']

_CLUSTER_COLOURS = tuple(COLOURS.values())


@dataclass(frozen=True)
class LeopartMaps:
    """What the teacher makes of N images.

    Attributes:
        attention: (N, h, w) float32, of the class token, mean over the heads.
        foreground: (N, h, w) bool, as the loss uses it.
        clusters: (N, h, w) int64, the nearest prototype of each patch.
    """

    attention: Tensor
    foreground: Tensor
    clusters: Tensor


@torch.no_grad()
def leopart_maps(model: Leopart, images: Tensor) -> LeopartMaps:
    """Attention, foreground and clusters of images (N, 3, H, W), normalised, on the CPU."""
    tokens, attention = tokens_and_attention(model.teacher.backbone, images)
    foreground = model._foreground(attention)
    clusters = model.teacher.head(tokens[:, 1:]).argmax(dim=-1).view(attention.shape)
    return LeopartMaps(attention.cpu(), foreground.cpu(), clusters.cpu())


def draw_leopart(data: dict, model: Leopart, path: str | Path, *, max_images: int = 6) -> Path:
    """Draw one batch, a column per image.

    Rows: the first global crop with its overlap with each other crop; the first local crop with
    the same overlap (same colour); attention; foreground (background painted over); the clusters
    of the foreground, the seven most frequent of all images shown in colours, one colour per
    cluster in the whole sheet, others in grey.

    Args:
        data: A collated batch as the loader gives it, see :class:`Leopart`.
        model: The model; its preprocessor colours and normalises. Random states stay as they were.
        path: PNG to write.
        max_images: Most images to show.

    Returns:
        The path written.
    """
    with preserve_rng_state():
        inputs = model.data_preprocessor(data, training=True)['inputs']
    count = min(len(inputs['views'][0]), max_images)
    views = [view[:count] for view in inputs['views']]
    maps = leopart_maps(model, views[0])
    names = maps.clusters[maps.foreground].unique(return_counts=True)
    frequent = names[0][names[1].argsort(descending=True)][: len(_CLUSTER_COLOURS)].tolist()
    denormalise = Denormalise(model.data_preprocessor)
    last = len(views) - 1
    local = min(model.num_global_views, last)
    labels = ['global crop', 'local crop' if last >= 2 else 'other crop', 'attention']
    labels += ['foreground', 'clusters']
    figure, axes = sheet(len(labels), count, width=0.9 + 1.7 * count, height=1.85 * len(labels))
    for row, label in zip(axes, labels, strict=True):
        row[0].set_ylabel(label, rotation=0, ha='right', va='center', labelpad=6)
    for i in range(count):
        shown = as_image(denormalise(views[0])[i])
        other = as_image(denormalise(views[local])[i])
        foreground = maps.foreground[i].numpy()
        overlaps = inputs['boxes_in_global'][0][i].cpu().numpy()[1:]
        axes[0, i].imshow(shown)
        draw_boxes(axes[0, i], Boxes(overlaps, np.arange(1, last + 1)))
        axes[1, i].imshow(other)
        box = inputs['boxes_in_other'][local][i, :1].cpu().numpy()
        draw_boxes(axes[1, i], Boxes(box, np.array([local])))
        axes[2, i].imshow(maps.attention[i].numpy(), cmap='cividis', interpolation='nearest')
        axes[3, i].imshow(overlay(shown, ~foreground, colour='#ffffff', strength=0.85))
        axes[3, i].set_xlabel(f'{foreground.mean():.0%} of the cells', fontsize=7, color=MUTED)
        axes[4, i].imshow(_paint(shown, maps.clusters[i].numpy(), foreground, frequent))
    for place in axes.flat:
        picture_axes(place)
    return save_figure(figure, path, dpi=100)


def _paint(
    image: np.ndarray, clusters: np.ndarray, foreground: np.ndarray, frequent: list[int]
) -> np.ndarray:
    """An image whose foreground cells (h, w) carry the colours of their clusters."""
    painted = overlay(image, ~foreground, colour='#ffffff', strength=0.85)
    rare = foreground & ~np.isin(clusters, frequent)
    painted = overlay(painted, rare, colour='#808080', strength=0.75)
    for cluster, colour in zip(frequent, _CLUSTER_COLOURS, strict=False):
        marked = foreground & (clusters == cluster)
        painted = overlay(painted, marked, colour=colour, strength=0.75)
    return painted
