"""Features of boxes from a ResNet cut in two: one pass for the image, one for its regions.

The C4 recipe of SoCo (NeurIPS 2021) and of Faster R-CNN: stem to ``layer3`` run on whole
images, RoIAlign cuts every box out of that map, ``layer4`` runs on the cut-outs as the head of
the region, and an average pool ends in one vector per box. For a de-coupled view the pool is
weighted by the share of each cell that still shows the key view (box AND foreground).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

__all__ = ['box_cells', 'c4_map', 'kept_cells', 'region_vectors', 'scaled_boxes']

# Rounding in RoIAlign leaves a little of an empty box.
_NOTHING = 1e-6


def c4_map(backbone: nn.Module, images: Tensor) -> Tensor:
    """Output of ``layer3`` of a ResNet.

    Args:
        backbone: mmpretrain ``ResNet``.
        images: (N, 3, H, W) float, normalised.

    Returns:
        (N, C, h, w), stride 16.

    Raises:
        ValueError: If the backbone has no stages ``layer1`` to ``layer4``.
    """
    if not all(hasattr(backbone, f'layer{stage}') for stage in range(1, 5)):
        raise ValueError(
            f'{type(backbone).__name__} has no layer1 to layer4; features of regions need a '
            "backbone like dict(type='ResNet', depth=50)"
        )
    net: Any = backbone
    if getattr(net, 'deep_stem', False):
        features = net.stem(images)
    else:
        features = net.relu(net.norm1(net.conv1(images)))
    return net.layer3(net.layer2(net.layer1(net.maxpool(features))))


def region_vectors(
    backbone: nn.Module,
    c4: Tensor,
    boxes: Tensor,
    *,
    image_size: Sequence[int],
    output_size: int = 14,
    weights: Tensor | None = None,
) -> Tensor:
    """One vector per box: RoIAlign on C4, ``layer4``, average pool.

    Args:
        backbone: The ResNet that ``c4`` comes from.
        c4: (N, C, h, w) of :func:`c4_map`.
        boxes: (N, K, 4), x1 y1 x2 y2 in pixels of the images.
        image_size: (H, W) of the images.
        output_size: Cells per side that RoIAlign cuts out; ``layer4`` halves them.
        weights: (N, H', W') bool or 0/1, the pixels that count in the average pool; its own
            resolution is free. A box that nothing is left of gives zeros.

    Returns:
        (N * K, C5), image by image.
    """
    head: Any = backbone.layer4
    cells = head(box_cells(c4, boxes, image_size=image_size, output_size=output_size))
    if weights is None:
        return cells.mean(dim=(2, 3))  # (N * K, C5, h, w) -> (N * K, C5)
    grid = (cells.shape[2], cells.shape[3])
    kept = kept_cells(weights, boxes, image_size=image_size, output_size=grid)  # (N * K, h, w)
    share = kept / kept.sum(dim=(1, 2), keepdim=True).clamp_min(_NOTHING)
    return (cells * share[:, None].to(cells.dtype)).sum(dim=(2, 3))


def kept_cells(
    keep: Tensor, boxes: Tensor, *, image_size: Sequence[int], output_size: int | tuple[int, int]
) -> Tensor:
    """Share of every cell of every box that a mask keeps.

    Args:
        keep: (N, H', W') bool or 0/1; True = counts. Its own resolution is free.
        boxes: (N, K, 4), x1 y1 x2 y2 in pixels of the images.
        image_size: (H, W) of the images.
        output_size: Cells per box, one side or (height, width).

    Returns:
        (N * K, height, width) float32 in [0, 1].
    """
    shares = box_cells(keep[:, None].float(), boxes, image_size=image_size, output_size=output_size)
    return shares[:, 0]


def box_cells(
    features: Tensor, boxes: Tensor, *, image_size: Sequence[int], output_size: int | tuple
) -> Tensor:
    """RoIAlign with half-pixel alignment and as many samples as a cell has map cells.

    Args:
        features: (N, C, h, w) map of whole images.
        boxes: (N, K, 4), x1 y1 x2 y2 in pixels of the images.
        image_size: (H, W) of the images; height and width may be scaled differently.
        output_size: Cells per box, one side or (height, width).

    Returns:
        (N * K, C, height, width) in the dtype of ``features``.

    Raises:
        ValueError: If the boxes are not (N, K, 4).
    """
    if boxes.ndim != 3 or boxes.shape[2] != 4 or len(boxes) != len(features):
        raise ValueError(
            f'boxes of shape {tuple(boxes.shape)} for {len(features)} images; give (N, K, 4), the '
            'same number for each image'
        )
    # Half precision would move boxes by a tenth of a pixel.
    maps = features if features.dtype == torch.float64 else features.float()
    height, width = features.shape[-2] / image_size[0], features.shape[-1] / image_size[1]
    index = torch.arange(len(boxes), device=boxes.device, dtype=maps.dtype)
    rois = torch.cat(
        (
            index.repeat_interleave(boxes.shape[1])[:, None],
            scaled_boxes(boxes.to(maps.dtype), width, height).flatten(0, 1),
        ),
        dim=1,
    )  # (N * K, 5)
    cells = roi_align(maps, rois, output_size, sampling_ratio=-1, aligned=True)
    return cells.to(features.dtype)


def scaled_boxes(boxes: Tensor, width: float, height: float) -> Tensor:
    """Boxes (..., 4) with x times ``width`` and y times ``height``.

    By two multiplications with numbers: a tensor of four would have to be copied to the device.
    """
    corners = boxes.unflatten(-1, (2, 2))  # (..., 4) -> (..., corner, xy)
    return torch.stack((corners[..., 0] * width, corners[..., 1] * height), dim=-1).flatten(-2)
