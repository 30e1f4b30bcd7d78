"""What a run really trains on: the views of a batch, their regions, masks and X^D.

A row is one stage of a view, a column one image of the batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.visualization.decoupled import DecoupledSample, compose_decoupled
from mmdssl.visualization.figure import (
    COLOURS,
    MUTED,
    Denormalise,
    as_image,
    loaded_image,
    overlay,
    picture_axes,
    save_figure,
    sheet,
)
from mmdssl.visualization.marks import Boxes, Grid, boxes_of, draw_boxes, draw_grid

__all__ = ['BatchPicture', 'Panel', 'batch_panels', 'draw_batch']

#: Boxes (n, 4) by mask key, view and image.
Regions = Mapping[str, Sequence[Sequence[np.ndarray | Tensor]]]
#: ``D3SSL.compose``.
Compose = Callable[[dict], Any]


_MASKS = (
    ('mask', 'MIM mask', COLOURS['orange']),
    ('erase', 'erased', COLOURS['vermillion']),
    ('dc_mask', 'mask for X^D', COLOURS['blue']),
)


#: Views that D3SSL makes on the device; their boxes stand in the order of view 0.
_MADE = (
    ('small', 'view 1 shrunk,\nerased (x2-s)'),
    ('composed', 'view 1 moved onto\nanother (x3)'),
)


@dataclass(frozen=True)
class Panel:
    """One picture of the sheet.

    Attributes:
        image: (H, W, 3) uint8 RGB, or None where there is nothing to show.
        note: Small text below.
        boxes: Drawn as outlines.
        grid: Foreground cells, drawn over the image.
    """

    image: np.ndarray | None
    note: str = ''
    boxes: Boxes | None = None
    grid: Grid | None = None


@dataclass(frozen=True)
class BatchPicture:
    """The sheet before it is drawn.

    Attributes:
        samples: Indices in the batch of the columns.
        rows: Panels of each row, one per sample, by row label.
    """

    samples: list[int]
    rows: dict[str, list[Panel]] = field(default_factory=dict)


@torch.no_grad()
def batch_panels(
    data: dict,
    data_preprocessor: nn.Module,
    *,
    branch: DecouplingBranch | None = None,
    compose: Compose | None = None,
    regions: Regions | None = None,
    max_images: int = 8,
    step: int = 0,
    stride: int = 32,
) -> BatchPicture:
    """Compute the pictures of :func:`draw_batch` without drawing them.

    Random states stay as they were.

    Args:
        data: A collated batch as the loader gives it: ``data['inputs']['views'][v]``
            (N, 3, H, W) uint8 RGB, or (N, C, H, W). What of these it has is drawn: masks
            (N, h, w) bool under ``'mask'``, ``'erase'`` and ``'dc_mask'``, boxes (N, K, 4) under
            ``'boxes'``.
        data_preprocessor: The model's: colours and normalises the views in training,
            and one (N, 3, H, W) uint8 tensor is only normalised.
        branch: The model's de-coupling branch; without it no X^D is shown.
        compose: D3SSL's, for the views that are made on the device: x2-s and x3.
        regions: Boxes by mask key, view and image, (n, 4) x1 y1 x2 y2 in pixels of
            the view; drawn on the masks that were made from them.
        max_images: Most images to show; those with an X^D come first.
        step: Iteration, which seeds the branch's random choices.
        stride: Of the network's last map, whose cells are drawn on X^D.

    Returns:
        The rows of the sheet.

    Raises:
        ValueError: For a batch without views.
    """
    cropped: list[Tensor] = data.get('inputs', {}).get('views', [])
    if not cropped:
        raise ValueError(
            "draw_batch: the batch has no 'views'; end the pipeline with PackViews and collate "
            'with default_collate'
        )
    with preserve_rng_state():
        inputs = data_preprocessor(data, training=True)['inputs']
        composed = (
            [] if branch is None else compose_decoupled(branch, inputs, step=step, stride=stride)
        )
        made = None if compose is None else compose(inputs)
    denormalise = Denormalise(data_preprocessor)
    coloured = [denormalise(view) for view in inputs['views']]
    size = len(cropped[0])
    samples = _columns(size, composed, max_images)
    picture = BatchPicture(samples=samples)
    for view in range(len(cropped)):
        picture.rows[f'view {view}\nas cropped'] = [
            Panel(loaded_image(cropped[view][i]), boxes=boxes_of(inputs, view, i)) for i in samples
        ]
        images = {i: as_image(coloured[view][i]) for i in samples}
        picture.rows[f'view {view}\nafter colour'] = [Panel(images[i]) for i in samples]
        for key, label, colour in _MASKS:
            masks = inputs.get(key) or []
            # The views that nothing is erased from have a mask all the same.
            if view < len(masks) and (key != 'erase' or bool(masks[view].any())):
                boxes = None if regions is None else regions.get(key)
                picture.rows[f'view {view}\n{label}'] = [
                    _masked(images[i], masks[view][i], colour, boxes[view][i] if boxes else None)
                    for i in samples
                ]
        panels = {
            sample.image: _composed_panel(sample, inputs, denormalise)
            for sample in composed
            if sample.view == view
        }
        if panels:
            nothing = Panel(None, note='no X^D')
            picture.rows[f'view {view}\nX^D'] = [panels.get(i, nothing) for i in samples]
    if made is not None:
        picture.rows.update(_made_rows(made, inputs, samples, denormalise))
    return picture


def draw_batch(
    data: dict,
    data_preprocessor: nn.Module,
    path: str | Path,
    *,
    branch: DecouplingBranch | None = None,
    compose: Compose | None = None,
    regions: Regions | None = None,
    max_images: int = 8,
    step: int = 0,
    stride: int = 32,
) -> Path:
    """Draw one batch, a column per image: each view as cropped, after colour, under its
    masks (with their regions) and as X^D.

    Args:
        data: See :func:`batch_panels`, as for all other arguments.
        data_preprocessor: The model's.
        path: PNG to write.
        branch: The model's de-coupling branch.
        compose: D3SSL's.
        regions: Boxes by mask key, view and image.
        max_images: Most images to show.
        step: Iteration.
        stride: Of the network's last map.

    Returns:
        The path written.
    """
    picture = batch_panels(
        data,
        data_preprocessor,
        branch=branch,
        compose=compose,
        regions=regions,
        max_images=max_images,
        step=step,
        stride=stride,
    )
    rows, columns = len(picture.rows), len(picture.samples)
    figure, axes = sheet(rows, columns, width=0.9 + 1.1 * columns, height=0.3 + 1.2 * rows)
    for line, (label, panels) in zip(axes, picture.rows.items(), strict=True):
        line[0].set_ylabel(
            label.replace('X^D', '$X^D$'), rotation=0, ha='right', va='center', labelpad=6
        )
        for place, panel in zip(line, panels, strict=True):
            _show(place, panel)
    for place, sample in zip(axes[0], picture.samples, strict=True):
        place.set_title(f'image {sample}', loc='center', fontsize=8, fontweight='normal')
    return save_figure(figure, path, dpi=100)


def _show(place: Axes, panel: Panel) -> None:
    picture_axes(place)
    place.set_xlabel(panel.note.replace('X^D', '$X^D$'), fontsize=7, color=MUTED, labelpad=2)
    if panel.image is None:
        place.set_box_aspect(1)
        return
    place.imshow(panel.image, interpolation='nearest')
    if panel.grid is not None:
        draw_grid(place, panel.grid, panel.image.shape[:2])
    if panel.boxes is not None:
        draw_boxes(place, panel.boxes)


def _columns(size: int, composed: Sequence[DecoupledSample], max_images: int) -> list[int]:
    """Images with an X^D first, in batch order, then the others."""
    picked = {sample.image for sample in composed}
    return sorted(range(size), key=lambda image: (image not in picked, image))[:max_images]


def _masked(
    image: np.ndarray, mask: Tensor, colour: str, boxes: np.ndarray | Tensor | None
) -> Panel:
    cells = mask.cpu().numpy().astype(bool)
    share = f'{cells.mean():.0%}' if cells.any() else 'empty'
    return Panel(
        overlay(image, cells, colour=colour),
        note=share,
        boxes=None if boxes is None or not cells.any() else Boxes(np.asarray(boxes)),
    )


def _made_rows(
    made: Any, inputs: dict, samples: Sequence[int], denormalise: Denormalise
) -> dict[str, list[Panel]]:
    """Rows of the views that the host made."""
    rows = {}
    for key, label in _MADE:
        pixels = getattr(made, key)
        if pixels is not None:
            own = dict(boxes=[made.boxes[key]], box_ids=inputs.get('box_ids', [])[:1])
            rows[label] = [
                Panel(as_image(denormalise(pixels[i])), boxes=boxes_of(own, 0, i)) for i in samples
            ]
    return rows


def _composed_panel(sample: DecoupledSample, inputs: dict, denormalise: Denormalise) -> Panel:
    note = f'on image {sample.partner_image}, view {sample.partner_view}'
    if sample.complemented:
        note += '\nmask inverted'
    boxes = boxes_of(inputs, sample.view, sample.image, keep=sample.keep)
    # A region host weighs boxes, not cells.
    grid = sample.grid if boxes is None else None
    if grid is not None:
        note += f'\n{grid.foreground.sum()} of {grid.foreground.size} cells'
    return Panel(as_image(denormalise(sample.composed)), note=note, boxes=boxes, grid=grid)
