"""Boxes as a view has them, and the view."""

import numpy as np


def random_boxes(rng: np.random.Generator, count: int, *, height: int, width: int) -> np.ndarray:
    """float32 (count, 4) within the image, of all sizes and shapes, some nested, some alike."""
    corners = rng.random((count, 2, 2)) * (width, height)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    boxes = np.minimum(boxes, (width, height, width, height))
    if count > 2 and rng.random() < 0.3:  # a repeated proposal
        boxes[-1] = boxes[0]
    return boxes.astype(np.float32)


def view(boxes: np.ndarray, *, height: int = 96, width: int = 128) -> dict:
    """A view with boxes."""
    return dict(img=np.zeros((height, width, 3), np.uint8), boxes=boxes)
