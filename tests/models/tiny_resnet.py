"""A tiny DenseCL on a narrow ResNet, and batches for it."""

import torch

from mmdssl.models.algorithms.densecl import DenseCL

SIDE = 32


def tiny_densecl(*, backbone: dict | None = None, **kwargs) -> DenseCL:
    """ResNet-18 with 4 to 32 channels, 4x4 cells, vectors of 8; weights from seed 0."""
    torch.manual_seed(0)
    settings = dict(
        backbone=dict(
            type='ResNet',
            depth=18,
            stem_channels=4,
            base_channels=4,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 1, 1),
            zero_init_residual=False,
            **(backbone or {}),
        ),
        neck=dict(type='DenseCLNeck', in_channels=32, hid_channels=16, out_channels=8),
        queue_length=64,
    )
    model = DenseCL(**{**settings, **kwargs})
    model.init_weights()
    model.train()
    model.clock.set(iteration=0, max_iterations=10)
    return model


def two_views(size: int = 8, *, seed: int = 1) -> dict:
    """Query and key views, and masks of the branch in pixels, blocks of 4 px."""
    make = torch.Generator().manual_seed(seed)
    views = [torch.randn(size, 3, SIDE, SIDE, generator=make) for _ in range(2)]
    masks = [torch.rand(size, SIDE // 4, SIDE // 4, generator=make) < 0.4 for _ in range(2)]
    grown = [mask.repeat_interleave(4, 1).repeat_interleave(4, 2) for mask in masks]
    return dict(views=views, dc_mask=grown)


def place_batch(size: int = 8, *, seed: int = 1) -> dict:
    """Crops of an image of 60 x 90 pixels; every third pair mirrored, one without overlap."""
    make = torch.Generator().manual_seed(seed)
    corner = torch.rand(2, size, 2, generator=make, dtype=torch.float64) * 25
    side = 30 + torch.rand(2, size, 2, generator=make, dtype=torch.float64) * 5
    boxes = torch.cat((corner, corner + side), dim=2)
    boxes[0, 1] = torch.tensor([0.0, 0, 9, 9])
    boxes[1, 1] = torch.tensor([40.0, 40, 60, 60])
    flips = torch.zeros(2, size, 2, dtype=torch.bool)
    flips[0, ::3, 0] = flips[1, ::4, 0] = flips[1, 2, 1] = True
    shape = torch.tensor([90, 60]).expand(size, 2)
    return dict(
        two_views(size, seed=seed),
        crop_box=list(boxes),
        flip=list(flips),
        ori_shape=[shape, shape],
    )
