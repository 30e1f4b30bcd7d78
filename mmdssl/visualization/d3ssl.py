"""Pictures of D3SSL: what its region augmentations draw, and the views that its nets see.

Nothing here repeats the method's rules: transforms draw the masks, the model composes the views.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmdssl.datasets.transforms.proposal_random_cutout import ProposalRandomCutout
from mmdssl.datasets.transforms.proposal_random_mask import ProposalRandomMask
from mmdssl.datasets.transforms.restricted_box_jitter import RestrictedBoxJitter
from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.models.algorithms.d3ssl import D3SSL
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
from mmdssl.visualization.marks import Boxes, draw_boxes

__all__ = ['Panel', 'd3ssl_panels', 'draw_d3ssl', 'draw_region_augmentations', 'first_regions']


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: Drawn as outlines.
        note: Small text below.
        original: Boxes that ``boxes`` were made from, drawn in one colour.
    """

    image: np.ndarray
    boxes: Boxes | None = None
    note: str = ''
    original: Boxes | None = None


def draw_region_augmentations(
    image: np.ndarray,
    boxes: np.ndarray,
    path: str | Path,
    *,
    prc: ProposalRandomCutout | None = None,
    prm: ProposalRandomMask | None = None,
    rbj: RestrictedBoxJitter | None = None,
    columns: int = 5,
    seed: int = 0,
) -> Path:
    """Draw PRC, PRM and RBJ several times each on the proposals of one image.

    The last row is PRM after PRC, which the nets see. Random states stay as they were.

    Args:
        image: uint8 (H, W, 3) RGB.
        boxes: (K, 4) proposals, x1 y1 x2 y2 in pixels of the image.
        path: PNG to write.
        prc: The transforms to draw with; None for their defaults. They read ``'boxes'`` and
            write ``'erase'``.
        prm: See ``prc``.
        rbj: See ``prc``.
        columns: Draws of each.
        seed: Seed of NumPy's generator.

    Returns:
        The path written.
    """
    prc, prm = prc or ProposalRandomCutout(), prm or ProposalRandomMask()
    rbj = rbj or RestrictedBoxJitter()
    boxes = np.asarray(boxes, np.float32)
    proposals = Boxes(boxes, np.arange(len(boxes)))
    rows: dict[str, list[Panel]] = {}
    with preserve_rng_state():
        np.random.seed(seed)
        for label, steps in (('PRC', (prc,)), ('PRM', (prm,)), ('PRC,\nthen PRM', (prc, prm))):
            rows[label] = []
            for _ in range(columns):
                view = dict(img=image, boxes=boxes)
                for step in steps:
                    view = step.transform(view)
                erased = overlay(image, view['erase'], colour='#808080', strength=1.0)
                note = f'{view["erase"].mean():.0%} erased'
                rows[label].append(Panel(erased, proposals, note))
        rows['RBJ'] = []
        for _ in range(columns):
            jittered = rbj.transform(dict(img=image, boxes=boxes))['boxes']
            rows['RBJ'].append(
                Panel(image, Boxes(jittered, np.arange(len(boxes))), original=Boxes(boxes))
            )
    return _draw(rows, path)


@torch.no_grad()
def d3ssl_panels(
    data: dict, model: D3SSL, *, max_images: int = 6, step: int = 0
) -> dict[str, list[Panel]]:
    """Compute the pictures of :func:`draw_d3ssl` without drawing them.

    Random states and the model's clock stay as they were.

    Args:
        data: A collated batch as the loader gives it, see :class:`D3SSL`.
        model: The model; its preprocessor colours, normalises and erases.
        max_images: Most images to show.
        step: Iteration, which seeds the choice of backgrounds.

    Returns:
        Panels of each row, one per image, by row label.
    """
    with preserve_rng_state():
        inputs = model.data_preprocessor(data, training=True)['inputs']
        views = model.compose(inputs, step=step)
    denormalise = Denormalise(model.data_preprocessor)
    cropped: list[Tensor] = data['inputs']['views']
    ids = inputs['box_ids'][0].cpu().numpy()
    count = range(min(len(ids), max_images))

    def row(
        images: Tensor, name: str, notes: Sequence[str] | None = None, *, raw: bool = False
    ) -> list[Panel]:
        pictures = images if raw else denormalise(images)
        return [
            Panel(
                loaded_image(pictures[i]) if raw else as_image(pictures[i]),
                _once(views.boxes[name][i], ids[i]),
                notes[i] if notes else '',
            )
            for i in count
        ]

    rows = {'x1\nas cropped': row(cropped[0], 'first', raw=True)}
    rows['x1^\n(both nets)'] = row(views.first, 'first')
    rows['x2\n(teacher)'] = row(views.second, 'second')
    if views.small is not None:
        rows['x2s^\n(student)'] = row(views.small, 'small')
    if views.composed is not None and views.background is not None:
        shifts = inputs['shift'][0].tolist()
        notes = [
            f'moved by {x}, {y}\non image {other}'
            for (x, y), other in zip(shifts, views.background.tolist(), strict=True)
        ]
        rows['x3\n(student)'] = row(views.composed, 'composed', notes)
    return rows


def draw_d3ssl(
    data: dict, model: D3SSL, path: str | Path, *, max_images: int = 6, step: int = 0
) -> Path:
    """Draw one batch, a column per image: x1, x1^, x2, x2s^ and x3 with their boxes.

    Boxes of one proposal have one colour in all views of an image; repeated boxes are drawn
    once.

    Args:
        data: See :func:`d3ssl_panels`, as for all other arguments.
        model: The model.
        path: PNG to write.
        max_images: Most images to show.
        step: Iteration.

    Returns:
        The path written.
    """
    return _draw(d3ssl_panels(data, model, max_images=max_images, step=step), path)


def first_regions(data: dict) -> tuple[np.ndarray, np.ndarray]:
    """Image and boxes for :func:`draw_region_augmentations`: a batch's first, as cropped for x2."""
    inputs = data['inputs']
    ids = inputs['box_ids'][1][0].numpy()
    return as_image(inputs['views'][1][0]), _once(inputs['boxes'][1][0], ids).corners


def _once(boxes: Tensor, ids: np.ndarray) -> Boxes:
    """Each proposal once, in one colour for all views."""
    known, first = np.unique(ids, return_index=True)
    return Boxes(boxes.cpu().numpy()[first], np.arange(len(known)))


def _draw(rows: dict[str, list[Panel]], path: str | Path) -> Path:
    columns = max(len(panels) for panels in rows.values())
    height, width = next(iter(rows.values()))[0].image.shape[:2]
    figure, axes = sheet(
        len(rows),
        columns,
        width=0.9 + 1.9 * columns,
        height=0.3 + (1.9 * height / width + 0.25) * len(rows),
    )
    for line, (label, panels) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label, rotation=0, ha='right', va='center', labelpad=6)
        for place, panel in zip(line, panels, strict=True):
            picture_axes(place)
            place.imshow(panel.image, interpolation='nearest')
            place.set_xlabel(panel.note, fontsize=7, color=MUTED, labelpad=2)
            if panel.original is not None:
                draw_boxes(place, panel.original)
                for patch in place.patches:
                    patch.set_edgecolor(COLOURS['blue'])
                    patch.set_linestyle(':')
            if panel.boxes is not None:
                draw_boxes(place, panel.boxes)
    return save_figure(figure, path, dpi=100)
