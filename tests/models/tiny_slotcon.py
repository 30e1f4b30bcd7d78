"""A tiny SlotCon and a batch for it."""

import torch

from mmdssl.models.algorithms.slotcon import SlotCon

SIDE = 32


def mlp(*widths: int, conv: bool = True, **more) -> dict:
    return dict(
        type='PointMLP',
        in_channels=widths[0],
        hidden_channels=widths[1],
        out_channels=widths[2],
        conv=conv,
        **more,
    )


def tiny_slotcon(*, norm: dict | None = None, **kwargs) -> SlotCon:
    """ResNet-18 with 4 to 32 channels, 4x4 cells, 6 slots of width 8; weights from seed 0.

    With ``norm`` the backbone has that in place of BatchNorm, and the heads have none.
    """
    torch.manual_seed(0)
    heads = dict(init_cfg=[]) if norm is None else dict(init_cfg=[], with_norm=False)
    settings = dict(
        backbone=dict(
            type='ResNet',
            depth=18,
            stem_channels=4,
            base_channels=4,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 1, 1),
            zero_init_residual=False,
            **({} if norm is None else dict(norm_cfg=norm)),
        ),
        neck=mlp(32, 16, 8, **heads),
        head=dict(type='SlotHead', in_channels=8, num_slots=6),
        predictor=mlp(8, 16, 8, conv=False, **heads),
    )
    model = SlotCon(**{**settings, **kwargs})
    model.init_weights()
    model.train()
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    return model


def two_crops(size: int = 8, *, seed: int = 1) -> dict:
    """Two views of noise, their crops of an image of 64 px, flips, and masks in blocks of 4 px."""
    make = torch.Generator().manual_seed(seed)

    def crops() -> torch.Tensor:
        start = (torch.rand(size, 2, generator=make) * 20).round()
        return torch.cat(
            (start, start + (24 + torch.rand(size, 2, generator=make) * 20).round()), 1
        )

    masks = [torch.rand(size, SIDE // 4, SIDE // 4, generator=make) < 0.4 for _ in range(2)]
    return dict(
        views=[torch.randn(size, 3, SIDE, SIDE, generator=make) for _ in range(2)],
        crop_box=[crops().double(), crops().double()],
        flip=[
            torch.stack((torch.rand(size, generator=make) < 0.5, torch.zeros(size) > 0), 1)
            for _ in range(2)
        ],
        dc_mask=[mask.repeat_interleave(4, 1).repeat_interleave(4, 2) for mask in masks],
    )
