"""A tiny NeCo; its batch is that of Leopart."""

import torch

from mmdssl.models.algorithms.neco import NeCo
from tests.models.tiny_leopart import PATCH, SIDE


def tiny_neco(kind: type[NeCo] = NeCo, **kwargs) -> NeCo:
    """Width 24, depth 2, vectors of 8, nine references, 4x4 patches; weights from seed 0."""
    torch.manual_seed(0)
    settings = dict(
        backbone=dict(
            type='DenseViT',
            arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
            img_size=SIDE,
            patch_size=PATCH,
            with_mask_token=False,
        ),
        head=dict(
            type='LeopartHead',
            in_channels=24,
            hidden_channels=32,
            bottleneck_channels=8,
            num_prototypes=None,
        ),
        init='random',
        roi_size=3,
    )
    model = kind(**{**settings, **kwargs})
    model.init_weights()
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    return model
