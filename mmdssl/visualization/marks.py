"""What is drawn onto a picture: boxes in the colours of their ids, and the foreground on a grid.

A point host compares features on its last map (7 x 7 at 224 px for a ResNet), where a cell takes
part if enough of it survived the mask; a region host weighs each box by what survived of it. Both
are shown with the share that was kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from mmdssl.models.foreground import Foreground
from mmdssl.visualization.figure import COLOURS, INK

__all__ = ['Boxes', 'Grid', 'boxes_of', 'draw_boxes', 'draw_grid', 'foreground_grid']

_BOX_COLOURS = ('yellow', 'sky', 'vermillion', 'purple', 'orange', 'green')


@dataclass(frozen=True)
class Boxes:
    """Boxes on a picture.

    Attributes:
        corners: (K, 4) x1 y1 x2 y2 in pixels of the picture.
        colours: (K,) int, equal for boxes to be drawn in one colour; None: all in one.
        texts: Of each box, or none.
    """

    corners: np.ndarray
    colours: np.ndarray | None = None
    texts: Sequence[str] = ()


@dataclass(frozen=True)
class Grid:
    """The foreground as a dense loss sees it.

    Attributes:
        share: (h, w) kept share of each cell, in [0, 1].
        foreground: (h, w) bool, cells that take part.
    """

    share: np.ndarray
    foreground: np.ndarray


def foreground_grid(
    foreground: Foreground, sample: int, image_shape: tuple[int, int], *, stride: int = 32
) -> Grid | None:
    """The foreground of one X^D on the feature grid.

    Args:
        foreground: As the branch hands it to the host.
        sample: Row of ``foreground.keep``.
        image_shape: Height and width of the image.
        stride: Of the network's last map.

    Returns:
        Shares and cells on that map; None where the mask itself
        is a grid of patches, which then is the grid of the features.
    """
    height, width = image_shape
    if foreground.keep.shape[1:] != image_shape:
        return None
    cells = -(-height // stride), -(-width // stride)
    own = Foreground(foreground.keep[sample : sample + 1], foreground.threshold)
    return Grid(own.share(*cells)[0].cpu().numpy(), own.cells(*cells)[0].cpu().numpy())


def boxes_of(
    inputs: dict,
    view: int,
    image: int,
    *,
    keep: Tensor | None = None,
    key: str = 'boxes',
) -> Boxes | None:
    """The boxes of one view of a batch, each once, in one colour per proposal in all views.

    Args:
        inputs: A batch with ``inputs['boxes'][view]`` (N, K, 4) pixels and, where boxes have
            ids, ``inputs['box_ids'][view]`` (N, K) int64.
        view: Index of the view.
        image: Index in the batch.
        keep: (H, W) bool; the share of it in a box becomes the box's text.
        key: Entry of the batch with the boxes.

    Returns:
        The boxes, or None for a batch without.
    """
    every = inputs.get(key) or []
    if view >= len(every):
        return None
    corners = every[view][image].cpu().numpy().reshape(-1, 4)
    ids = inputs.get('box_ids') or []
    colours = None
    if view < len(ids) and len(ids[view][image]) == len(corners):
        # Colours follow the ids of the whole image: the same proposal, the same colour.
        known = np.unique(np.concatenate([other[image].cpu().numpy() for other in ids]))
        own = ids[view][image].cpu().numpy()
        _, first = np.unique(own, return_index=True)
        first.sort()
        corners, colours = corners[first], np.searchsorted(known, own[first])
    texts = [] if keep is None else [f'{_kept(keep, box):.0%}' for box in corners]
    return Boxes(corners, colours, texts)


def draw_boxes(place: Axes, boxes: Boxes) -> None:
    """Outline boxes on a picture that ``imshow`` has drawn."""
    for index, (x1, y1, x2, y2) in enumerate(boxes.corners.tolist()):
        number = 0 if boxes.colours is None else int(boxes.colours[index])
        colour = COLOURS[_BOX_COLOURS[number % len(_BOX_COLOURS)]]
        # imshow centres pixel 0 on 0: the left edge of the picture is -0.5.
        corner, size = (x1 - 0.5, y1 - 0.5), (x2 - x1, y2 - y1)
        place.add_patch(Rectangle(corner, *size, fill=False, linewidth=1, edgecolor=colour))
        if index < len(boxes.texts):
            place.text(
                *((x1 + x2) / 2, (y1 + y2) / 2),
                boxes.texts[index],
                color=INK,
                fontsize=6.5,
                ha='center',
                va='center',
                bbox=dict(facecolor=colour, edgecolor='none', pad=0.8),
            )


def draw_grid(
    place: Axes, grid: Grid, image_shape: tuple[int, int], *, numbers: bool = False
) -> None:
    """Shade the cells that take no part and outline those that do.

    Args:
        place: Axes with the picture.
        grid: Shares and cells.
        image_shape: Height and width of the picture.
        numbers: Print the kept share of every cell, in percent.
    """
    rows, columns = grid.share.shape
    height, width = image_shape[0] / rows, image_shape[1] / columns
    for row, column in np.ndindex(rows, columns):
        inside = bool(grid.foreground[row, column])
        corner = column * width - 0.5, row * height - 0.5
        place.add_patch(
            Rectangle(
                corner,
                width,
                height,
                facecolor='none' if inside else (1, 1, 1, 0.45),
                edgecolor=COLOURS['green'] if inside else 'none',
                linewidth=0.8,
                zorder=2 if inside else 1.5,
            )
        )
        if numbers:
            place.text(
                corner[0] + width / 2,
                corner[1] + height / 2,
                f'{100 * grid.share[row, column]:.0f}',
                fontsize=5 if rows > 5 else 7,
                color='white' if inside else INK,
                ha='center',
                va='center',
                path_effects=[withStroke(linewidth=1, foreground=INK)] if inside else [],
            )


def _kept(keep: Tensor, box: np.ndarray) -> float:
    """Share of True inside a box, whole pixels."""
    x1, y1 = np.floor(box[:2]).astype(int)
    x2, y2 = np.maximum(np.ceil(box[2:]).astype(int), [x1 + 1, y1 + 1])
    part = keep[y1:y2, x1:x2].float()
    return float(part.mean()) if part.numel() else 0.0
