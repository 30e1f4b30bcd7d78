"""A tiny Leopart and a batch for it."""

import torch

from mmdssl.datasets.transforms.overlapping_crops import OverlappingCrops, overlap_boxes
from mmdssl.models.algorithms.leopart import Leopart

SIDE, LOCAL, PATCH = 32, 16, 8
GRID = SIDE // PATCH


def tiny_leopart(**kwargs) -> Leopart:
    """Width 24, depth 2, 12 prototypes, 4x4 patches; weights from seed 0."""
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
            num_prototypes=12,
        ),
        init='random',
        queue_length=0,
    )
    model = Leopart(**{**settings, **kwargs})
    model.init_weights()
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    return model


def leopart_batch(size: int = 8, *, seed: int = 1, local: int = 2) -> dict:
    """Crops of a 48 px image of noise, their overlaps, and branch masks."""
    import numpy as np

    np.random.seed(seed)
    generator = torch.Generator().manual_seed(seed)
    crop = dict(type='RandomResizedCropWithBoxes', scale=(0.3, 1.0))
    draw = OverlappingCrops(
        num_views=[2, local], pipelines=[[dict(crop, size=SIDE)], [dict(crop, size=LOCAL)]]
    )
    sides = [SIDE] * 2 + [LOCAL] * local
    in_global: list[list] = [[] for _ in range(2)]
    in_other: list[list] = [[] for _ in sides]
    for _ in range(size):
        windows = draw.draw_windows(48, 48)
        for place, (window, side) in enumerate(zip(windows, sides, strict=True)):
            in_other[place].append(overlap_boxes(window, windows[:2], (side, side)))
            if place < 2:
                in_global[place].append(overlap_boxes(window, windows, (side, side)))
    return dict(
        views=[torch.randn(size, 3, side, side, generator=generator) for side in sides],
        boxes_in_global=[torch.from_numpy(np.stack(rows)) for rows in in_global],
        boxes_in_other=[torch.from_numpy(np.stack(rows)) for rows in in_other],
        dc_mask=[torch.rand(size, GRID, GRID, generator=generator) < 0.4 for _ in range(2)],
    )
