"""Tiny hosts on a narrow ResNet, and batches for them."""

import torch

from mmdssl.models.algorithms.byol import BYOL
from mmdssl.models.algorithms.densecl import DenseCL
from mmdssl.models.algorithms.pixpro import PixPro
from mmdssl.models.algorithms.resim import ReSim

SIDE = 32


def tiny_densecl(*, backbone: dict | None = None, **kwargs) -> DenseCL:
    """ResNet-18 with 4 to 32 channels, 4x4 cells, vectors of 8; weights from seed 0."""
    torch.manual_seed(0)
    settings = dict(
        backbone=narrow(backbone),
        neck=dict(type='DenseCLNeck', in_channels=32, hid_channels=16, out_channels=8),
        queue_length=64,
    )
    return ready(DenseCL(**{**settings, **kwargs}))


def narrow(changes=None):
    """Config of a ResNet-18 with 4 to 32 channels, an eighth of the resolution; or a given net."""
    if isinstance(changes, torch.nn.Module):
        return changes
    settings = dict(
        type='ResNet',
        depth=18,
        stem_channels=4,
        base_channels=4,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 1, 1),
        zero_init_residual=False,
    )
    return {**settings, **(changes or {})}


def ready(model):
    """Initialised, in training mode, at the first of ten steps."""
    model.init_weights()
    model.train()
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    return model


def point_mlp(channels: int, norm: bool = True) -> dict:
    """Config of a projector or predictor of cells, 16 channels inside and 8 out."""
    return dict(
        type='PointMLP',
        in_channels=channels,
        hidden_channels=16,
        out_channels=8,
        num_layers=2,
        act='ReLU',
        with_norm=norm,
        init_cfg=[],
    )


def tiny_pixpro(*, backbone: dict | None = None, **kwargs) -> PixPro:
    """The same ResNet, vectors of 8; weights from seed 0."""
    torch.manual_seed(0)
    settings = dict(
        backbone=narrow(backbone),
        neck=point_mlp(32),
        head=dict(type='PixelPropagation', channels=8),
    )
    return ready(PixPro(**{**settings, **kwargs}))


def byol_mlp(channels: int, *, pool: bool, inner: int = 16, out: int = 8) -> dict:
    """Config of a projector, which pools, or a predictor, as BYOL has them."""
    return dict(
        type='NonLinearNeck',
        in_channels=channels,
        hid_channels=inner,
        out_channels=out,
        with_bias=True,
        with_last_bn=False,
        with_avg_pool=pool,
        norm_cfg=dict(type='BN1d'),
    )


def tiny_byol(*, backbone=None, **kwargs) -> BYOL:
    """The same ResNet, vectors of 8; weights from seed 0."""
    torch.manual_seed(0)
    settings = dict(
        backbone=narrow(backbone),
        neck=byol_mlp(32, pool=True),
        head=dict(
            type='LatentPredictHead',
            loss=dict(type='CosineSimilarityLoss'),
            predictor=byol_mlp(8, pool=False),
        ),
    )
    return ready(BYOL(**{**settings, **kwargs}))


def tiny_resim(*, backbone=None, levels: tuple = ('c4', 'c3'), **kwargs) -> ReSim:
    """The same ResNet at its usual strides, maps of 6 channels; weights from seed 0."""
    torch.manual_seed(0)
    full = dict(strides=(1, 2, 2, 2), out_indices=(1, 2, 3) if len(levels) == 2 else (2, 3))
    changed = backbone if isinstance(backbone, torch.nn.Module) else {**full, **(backbone or {})}
    settings = dict(
        backbone=narrow(changed),
        neck=dict(type='MoCoV2Neck', in_channels=32, hid_channels=16, out_channels=8),
        head=dict(
            type='WindowPyramid',
            in_channels=(8, 16, 32) if len(levels) == 2 else (16,),
            out_channels=6,
            levels=levels,
        ),
        queue_length=64,
    )
    return ready(ReSim(**{**settings, **kwargs}))


def window_batch(size: int = 8, *, side: int = 128, seed: int = 1) -> dict:
    """Larger views, of crops that share most of an image of 60 x 90 pixels, mirrored or not."""
    make = torch.Generator().manual_seed(seed)
    corner = torch.rand(2, size, 2, generator=make, dtype=torch.float64) * 8
    corner[1] = corner[1] / 2  # the key starts before the query more often
    side_length = torch.tensor([40.0, 50.0], dtype=torch.float64)[:, None, None]
    boxes = torch.cat((corner, corner + side_length.expand_as(corner)), dim=2)
    flip = torch.zeros(size, 2, dtype=torch.bool)
    flip[::3, 0] = True
    masks = [torch.rand(size, side // 16, side // 16, generator=make) < 0.4 for _ in range(2)]
    return dict(
        views=[torch.randn(size, 3, side, side, generator=make) for _ in range(2)],
        dc_mask=[m.repeat_interleave(16, 1).repeat_interleave(16, 2) for m in masks],
        crop_box=list(boxes),
        flip=[flip, flip],
    )


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
