"""A tiny Self-EMD; its batch is that of DenseCL."""

import torch

from mmdssl.models.algorithms.selfemd import SelfEMD
from tests.models.tiny_slotcon import mlp


def tiny_selfemd(*, norm: dict | None = None, **kwargs) -> SelfEMD:
    """ResNet-18 with 4 to 32 channels, 4x4 cells, vectors of 8; weights from seed 0.

    With ``norm`` the backbone has that in place of BatchNorm, and the heads have none.
    """
    torch.manual_seed(0)
    heads = dict(init_cfg=[], act='ReLU', num_layers=2, with_norm=norm is None)
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
        head=mlp(8, 16, 8, **heads),
    )
    model = SelfEMD(**{**settings, **kwargs})
    model.init_weights()
    model.train()
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    return model
