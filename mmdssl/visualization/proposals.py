"""Pictures of proposals: what the search finds in a photo, and what of it a model gets to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mmdssl.datasets.proposals.filters import Rule, counted_boxes, whole_image
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.visualization.figure import COLOURS, MUTED, picture_axes, save_figure, sheet

__all__ = ['SearchedImage', 'draw_proposals', 'search_image']

_RULES = {
    Rule.FULL: 'full rule',
    Rule.WITHOUT_SIZE: 'any size',
    Rule.MIN_SIDE: 'least side only',
    Rule.WHOLE_IMAGE: 'whole picture',
}


@dataclass(frozen=True)
class SearchedImage:
    """A picture and its boxes, (N, 4) x y w h in pixels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        found: All different boxes of the search.
        proposals: Those that are left of them, each once.
        rule: The rule that left them.
        label: Small text beside the picture.
    """

    image: np.ndarray
    found: np.ndarray
    proposals: np.ndarray
    rule: Rule
    label: str = ''


def search_image(
    image: np.ndarray, settings: ProposalSettings | None = None, label: str = ''
) -> SearchedImage:
    """Search a picture (H, W, 3) uint8 RGB for `draw_proposals`."""
    settings = settings or ProposalSettings()
    boxes = settings.search(image)
    height, width = image.shape[:2]
    proposals, rule = settings.filter.apply(boxes, height, width)
    if rule is Rule.WHOLE_IMAGE:
        proposals = whole_image(height, width)
    found, proposals = counted_boxes(boxes)[0], counted_boxes(proposals)[0]
    return SearchedImage(image, found, proposals, rule, label)


def draw_proposals(images: Sequence[SearchedImage], path: str | Path, *, largest: int = 12) -> Path:
    """Draw pictures, a row each: all boxes found, all proposals, and some proposals by themselves.

    Args:
        images: The pictures.
        path: PNG to write.
        largest: How many proposals to show by themselves, evenly spaced from large to small.

    Returns:
        The path written.
    """
    figure, axes = sheet(len(images), 3, width=9.6, height=2.5 * len(images) + 0.3)
    for line, picture in zip(axes, images, strict=True):
        size = picture.proposals[:, 2] * picture.proposals[:, 3]
        order = np.argsort(-size, kind='stable')
        some = order[np.arange(min(largest, len(order))) * len(order) // min(largest, len(order))]
        notes = (
            f'{len(picture.found)} different boxes found',
            f'{len(picture.proposals)} proposals ({_RULES[picture.rule]})',
            f'{len(some)} of them, from large to small',
        )
        for place, boxes, width, note in zip(
            line,
            (picture.found, picture.proposals, picture.proposals[some]),
            (0.5, 0.8, 1.6),
            notes,
            strict=True,
        ):
            picture_axes(place)
            place.imshow(picture.image)
            _outline(place, boxes, width)
            place.set_xlabel(note, fontsize=7, color=MUTED, labelpad=2)
        line[0].set_ylabel(picture.label, fontsize=7, color=MUTED, parse_math=False)
    for place, title in zip(axes[0], ('found', 'filtered', 'a choice'), strict=True):
        place.set_title(title)
    return save_figure(figure, path)


def _outline(axes: Axes, boxes: np.ndarray, width: float) -> None:
    """Outlines of x y w h boxes in the palette's colours."""
    colours = [COLOURS[name] for name in ('vermillion', 'sky', 'yellow', 'green', 'orange')]
    for number, (x, y, w, h) in enumerate(boxes.tolist()):
        colour = colours[number % len(colours)]
        axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=width))
