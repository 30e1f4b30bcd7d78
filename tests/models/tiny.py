"""A tiny iBOT and a batch for it."""

import torch

from mmdssl.models.algorithms.ibot import IBOT

SIDE, PATCH = 32, 8
GRID = SIDE // PATCH


def tiny_ibot(**kwargs) -> IBOT:
    """Width 24, depth 2, 16 prototypes, 4x4 patches; weights from seed 0."""
    torch.manual_seed(0)
    settings = dict(
        backbone=dict(
            type='DenseViT',
            arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
            img_size=SIDE,
            patch_size=PATCH,
        ),
        head=dict(
            type='IBOTHead',
            in_channels=24,
            hidden_channels=32,
            bottleneck_channels=8,
            out_channels=16,
        ),
        loss=dict(warmup_epochs=2),
    )
    model = IBOT(**{**settings, **kwargs})
    model.init_weights()
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    return model


def tiny_batch(size: int = 8, *, seed: int = 1, local: int = 0) -> dict:
    """Two views (and ``local`` crops), MIM masks (some empty) and branch masks."""
    generator = torch.Generator().manual_seed(seed)
    views = [torch.randn(size, 3, SIDE, SIDE, generator=generator) for _ in range(2)]
    views += [torch.randn(size, 3, 16, 16, generator=generator) for _ in range(local)]

    def masks() -> torch.Tensor:
        return torch.rand(size, GRID, GRID, generator=generator) < 0.4

    mask = [masks(), masks()]
    mask[0][::2] = False
    return dict(views=views, mask=mask, dc_mask=[masks(), masks()])
