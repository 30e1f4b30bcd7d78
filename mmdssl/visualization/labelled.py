"""A batch as a detector or segmentor trains on it: images with their boxes or label maps.

A wrong path of label maps, classes in the wrong order or boxes that were not resized with their
image show here at a glance, and nowhere else before the score.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from mmdssl.visualization.figure import as_image, picture_axes, save_figure, sheet
from mmdssl.visualization.marks import Boxes, draw_boxes

__all__ = ['draw_labelled_batch', 'labelled_panels']

_COLUMNS = 4
_STRENGTH = 0.6  # of the colours of a label map over its image
_IGNORED = 255


def draw_labelled_batch(
    batch: Mapping[str, Any],
    path: str | Path,
    *,
    data_preprocessor: nn.Module,
    classes: Sequence[str] = (),
    max_images: int = 8,
) -> Path:
    """Draw images with their truth.

    Args:
        batch: As the loader of a config of mmdet or mmseg gives it; see :func:`labelled_panels`.
        path: PNG to write.
        data_preprocessor: The model's; it says which order the colours have.
        classes: Names of the labels.
        max_images: Most images to show.

    Returns:
        The file.
    """
    panels = labelled_panels(
        batch, data_preprocessor=data_preprocessor, classes=classes, max_images=max_images
    )
    rows = -(-len(panels) // _COLUMNS)
    columns = min(len(panels), _COLUMNS)
    figure, axes = sheet(rows, columns, width=3.0 * columns, height=3.2 * rows)
    for one in axes.flat:
        picture_axes(one)
    for one, (image, boxes) in zip(axes.flat, panels, strict=False):
        one.imshow(image)
        if boxes is not None:
            draw_boxes(one, boxes)
    return save_figure(figure, path)


def labelled_panels(
    batch: Mapping[str, Any],
    *,
    data_preprocessor: nn.Module,
    classes: Sequence[str] = (),
    max_images: int = 8,
) -> list[tuple[np.ndarray, Boxes | None]]:
    """The pictures of :func:`draw_labelled_batch` before they are drawn.

    Args:
        batch: ``inputs``, a list of (3, H, W) uint8, and ``data_samples``, as many, with
            ``gt_instances.bboxes`` (K, 4) x1 y1 x2 y2 in pixels and ``labels`` (K,), or with
            ``gt_sem_seg.data`` (1, H, W) labels, 255 being ignored.
        data_preprocessor: See :func:`draw_labelled_batch`.
        classes: Names of the labels.
        max_images: Most images to take.

    Returns:
        Image (H, W, 3) uint8 RGB, label maps painted over it, and boxes, an image each.
    """
    swapped = getattr(data_preprocessor, '_channel_conversion', False)
    panels = []
    for pixels, sample in zip(
        batch['inputs'][:max_images], batch['data_samples'][:max_images], strict=True
    ):
        image = as_image(pixels.flip(0) if swapped else pixels)
        if 'gt_sem_seg' in sample:
            image = _painted(image, sample.gt_sem_seg.data[0].cpu().numpy())
        boxes = None
        if 'gt_instances' in sample:
            found = sample.gt_instances
            corners: Tensor = getattr(found.bboxes, 'tensor', found.bboxes)
            labels = found.labels.cpu().numpy()
            named = [classes[label] if label < len(classes) else str(label) for label in labels]
            boxes = Boxes(corners.cpu().numpy(), labels, named)
        panels.append((image, boxes))
    return panels


def _painted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A colour a label over the image; ignored places stay as they are."""
    palette = np.random.default_rng(0).integers(0, 256, (_IGNORED + 1, 3))
    mixed = image * (1 - _STRENGTH) + palette[labels] * _STRENGTH
    return np.where((labels == _IGNORED)[..., None], image, np.rint(mixed).astype(np.uint8))
