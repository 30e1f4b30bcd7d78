"""A narrow SoCo and a batch for it."""

import torch
from mmpretrain.models.backbones import ResNet
from mmpretrain.models.backbones.resnet import Bottleneck

from mmdssl.models.algorithms.soco import SoCo

SIDE = 64


class NarrowResNet(ResNet):
    """One bottleneck per stage, 4 channels wide: C4 has 64, C5 128 channels; or as told."""

    def __init__(
        self, *, stem: int = 4, base: int = 4, blocks: tuple[int, ...] = (1, 1, 1, 1), **kwargs
    ) -> None:
        depth = 3 * sum(blocks) + 2
        self.arch_settings = {depth: (Bottleneck, blocks)}
        super().__init__(depth, stem_channels=stem, base_channels=base, **kwargs)


def mlp(inner: int, channels: tuple[int, int]) -> dict:
    return dict(
        type='NonLinearNeck',
        in_channels=channels[0],
        hid_channels=inner,
        out_channels=channels[1],
        with_bias=True,
        with_last_bias=True,
        with_last_bn=False,
        with_avg_pool=False,
        norm_cfg=dict(type='BN1d'),
    )


def narrow_soco(**kwargs) -> SoCo:
    """128-24-12 projector, 12-24-12 predictor; weights from seed 0, residuals not zero."""
    torch.manual_seed(0)
    settings = dict(
        backbone=NarrowResNet(zero_init_residual=False),
        neck=mlp(24, (128, 12)),
        head=mlp(24, (12, 12)),
    )
    model = SoCo(**{**settings, **kwargs})
    model.init_weights()
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    model.train()
    return model


def soco_batch(size: int = 8, *, boxes: int = 4, seed: int = 1) -> dict:
    """Two random views; boxes of at least 16 px; ids partly equal; left or right half masked."""
    generator = torch.Generator().manual_seed(seed)

    def draw() -> torch.Tensor:
        corners = torch.rand(size, boxes, 2, generator=generator) * (SIDE - 16)
        sides = 16 + torch.rand(size, boxes, 2, generator=generator) * (SIDE - 16 - corners)
        return torch.cat((corners, corners + sides), dim=-1)

    order = torch.arange(boxes).expand(size, boxes)
    masks = torch.zeros(2, size, SIDE, SIDE, dtype=torch.bool)
    masks[0, :, : SIDE // 2] = True
    masks[1, :, :, : SIDE // 2] = True
    return dict(
        views=[torch.randn(size, 3, SIDE, SIDE, generator=generator) for _ in range(2)],
        boxes=[draw(), draw()],
        box_ids=[order.clone(), order.flip(1).clone()],
        dc_mask=list(masks),
    )
