"""A tiny PLRC and a batch for it."""

import torch
from torch import Tensor

from mmdssl.models.algorithms.plrc import PLRC
from tests.models.tiny_slotcon import mlp, two_crops

GRID = 8


def tiny_plrc(*, norm: dict | None = None, **kwargs) -> PLRC:
    """ResNet-18 with 4 to 32 channels, 4x4 cells, pairs on 8x8 points; weights from seed 0.

    With ``norm`` the backbone has that in place of BatchNorm, and the heads have none.
    """
    torch.manual_seed(0)
    heads = dict(init_cfg=[], act='ReLU')
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
        neck=mlp(32, 16, 8, num_layers=2, with_norm=False, **heads),
        head=dict(
            type='PrototypeScores',
            projector=mlp(32, 16, 6, with_norm=norm is None, **heads),
            num_prototypes=12,
        ),
        num_points=4,
        point_grid=GRID,
        distill_grid=GRID,
        queue_length=64,
    )
    model = PLRC(**{**settings, **kwargs})
    model.init_weights()
    model.train()
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    return model


def three_crops(size: int = 8, *, seed: int = 1, others: int = 0) -> dict:
    """Query, partner and key of noise, where they lie, points of query and key, and masks."""
    make = torch.Generator().manual_seed(seed)
    first, second = two_crops(size, seed=seed), two_crops(size, seed=seed + 100)

    def points() -> Tensor:
        return torch.randint(GRID, (size, 1 + others, 6, 2), generator=make)

    joined = {key: [*first[key], second[key][0]] for key in first}
    shape = torch.tensor([64, 64]).expand(size, 2).clone()
    return dict(joined, ori_shape=[shape] * 3, points=[points(), points()])
