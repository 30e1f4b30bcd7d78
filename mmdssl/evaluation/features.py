"""One vector per object: the dense map of a frozen backbone, averaged over the object's box.

The rule of O-KNN ("Mind Your Augmentation" (ICLR 2024), App. E.3.2): RoIAlign 7 x 7 on the last
map, mean, L2 norm. For a ResNet the input of the last stage (C4) is first upsampled to twice its
size, so that its output has the resolution of C4 (14 x 14 at 224 px), that of a ViT-S/16. The
paper's other account (D3SSL, Sec. 5.3) leaves that step out: ``upsample_c4=False``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch.nn.functional as F
from jaxtyping import Float, Float32, Shaped
from mmpretrain.models.backbones import ResNet
from torch import Tensor, nn
from torchvision.models import ResNet as TorchvisionResNet
from torchvision.ops import roi_align

from mmdssl.evaluation.guards import evaluating

__all__ = ['dense_map', 'object_features', 'pool_boxes']


def object_features(
    backbone: nn.Module,
    images: Float[Tensor, 'n ch h w'],
    boxes: Sequence[Shaped[Tensor, '_ 4']],
    *,
    roi_size: int = 7,
    upsample_c4: bool = True,
) -> Float[Tensor, 'm c']:
    """L2-normalised feature of every box, from the backbone in eval mode without gradients.

    Args:
        backbone: mmpretrain or torchvision backbone; its training flags are left as they were.
        images: (N, ch, H, W) float, normalised.
        boxes: N tensors (n_i, 4), x1 y1 x2 y2 in pixels of the images; n_i may be 0.
        roi_size: Cells per side of RoIAlign.
        upsample_c4: Rule for ResNets, see the module.

    Returns:
        (sum n_i, C) float32 of unit length, in the order of ``boxes``.
    """
    with evaluating(backbone):
        features = dense_map(backbone, images, upsample_c4=upsample_c4)
        return F.normalize(pool_boxes(features, boxes, images.shape[-2:], roi_size=roi_size), dim=1)


def dense_map(
    backbone: nn.Module, images: Float[Tensor, 'n ch h w'], *, upsample_c4: bool = True
) -> Float32[Tensor, 'n c h2 w2']:
    """The map that objects are read from, in the mode the backbone is in, with its gradients.

    ViT: last map, final norm included. ResNet of four stages: output of the last stage, its input
    doubled in size by bilinear interpolation if ``upsample_c4``. Others: the last map returned.

    Args:
        backbone: Returns a tuple of maps (mmpretrain) or, as torchvision's ResNet, anything.
        images: (N, ch, H, W) float, normalised.
        upsample_c4: Rule for ResNets; without effect on other backbones.

    Returns:
        (N, C, h, w), float32.

    Raises:
        ValueError: If the backbone returns no map, e.g. a ViT set to give its class token.
    """
    net = getattr(backbone, 'wrapped', backbone)  # of an adapter
    if isinstance(net, (ResNet, TorchvisionResNet)) and hasattr(net, 'layer4'):
        with _last_stage(net.layer4, upsample=upsample_c4) as outputs:
            backbone(images)
        features = outputs[-1]
    else:
        features = backbone(images)
        if isinstance(features, (tuple, list)):
            features = features[-1]
    if not isinstance(features, Tensor) or features.ndim != 4:
        found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(
            f'{type(backbone).__name__} returned {found} where a map (N, C, h, w) is needed: set '
            "its output to feature maps, e.g. out_type='featmap' for a vision transformer"
        )
    return features.float()


@contextmanager
def _last_stage(stage: nn.Module, *, upsample: bool) -> Iterator[list[Float[Tensor, '...']]]:
    """Collect the outputs of ``stage``, its input doubled in size on the way in if asked.

    Hooks on the stage serve every kind of ResNet (deep stem, wide, plug-ins) and any
    ``out_indices``, without repeating its forward pass here.
    """
    outputs: list[Tensor] = []

    def double(_: nn.Module, inputs: tuple[Float[Tensor, '...'], ...]) -> Float[Tensor, '...']:
        # (N, C4, h, w) -> (N, C4, 2h, 2w)
        return F.interpolate(inputs[0], scale_factor=2, mode='bilinear', align_corners=False)

    def keep(
        _: nn.Module, inputs: tuple[Float[Tensor, '...'], ...], output: Float[Tensor, '...']
    ) -> None:
        outputs.append(output)

    handles = [stage.register_forward_hook(keep)]
    if upsample:
        handles.append(stage.register_forward_pre_hook(double))
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def pool_boxes(
    features: Float[Tensor, 'n c h w'],
    boxes: Sequence[Shaped[Tensor, '_ 4']],
    image_size: Sequence[int],
    *,
    roi_size: int = 7,
) -> Float[Tensor, 'm c']:
    """Mean of RoIAlign (aligned, adaptive sampling) over each box.

    Args:
        features: (N, C, h, w) float32.
        boxes: N tensors (n_i, 4), x1 y1 x2 y2 in pixels.
        image_size: (H, W) of the pixels that the boxes refer to.
        roi_size: Cells per side.

    Returns:
        (sum n_i, C) float32, in the order of ``boxes``.

    Raises:
        ValueError: If there is not one tensor of boxes for each image.
    """
    if len(boxes) != len(features):
        raise ValueError(f'{len(boxes)} sets of boxes for {len(features)} images')
    height, width = features.shape[-2] / image_size[0], features.shape[-1] / image_size[1]
    # Both scales, because a map need not have the proportions of its image to the last pixel.
    scale = features.new_tensor([width, height, width, height])
    on_map = [box.to(features).reshape(-1, 4) * scale for box in boxes]
    cells = roi_align(features, on_map, roi_size, spatial_scale=1.0, aligned=True)
    return cells.mean(dim=(2, 3))  # (n, C, 7, 7) -> (n, C)
