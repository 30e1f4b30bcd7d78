"""A narrow D3SSL, and batches for it as the workers make them."""

import numpy as np
import torch

from mmdssl.datasets.transforms.proposal_random_cutout import ProposalRandomCutout
from mmdssl.datasets.transforms.proposal_random_mask import ProposalRandomMask
from mmdssl.datasets.transforms.restricted_box_jitter import RestrictedBoxJitter
from mmdssl.datasets.transforms.shifted_foreground import ShiftedForeground
from mmdssl.models.algorithms.d3ssl import D3SSL

SIDE, SMALL, BOXES, QUEUE = 64, 32, 3, 96


def narrow_d3ssl(**kwargs) -> D3SSL:
    """ResNet-18 of 8 channels, 16-d vectors, queue of 96; weights from seed 0."""
    torch.manual_seed(0)
    settings = dict(
        backbone=dict(
            type='ResNet', depth=18, stem_channels=8, base_channels=8, zero_init_residual=False
        ),
        neck=dict(
            type='MoCoV2Neck',
            in_channels=64,
            hid_channels=32,
            out_channels=16,
            with_avg_pool=False,
        ),
        queue_length=QUEUE,
        num_boxes=BOXES,
        small_size=SMALL,
        roi_size=4,
        small_roi_size=2,
    )
    model = D3SSL(**{**settings, **kwargs})
    model.init_weights()
    model.train()
    model.clock.set(iteration=0, max_iterations=20)
    return model


def d3ssl_batch(size: int = 4, *, seed: int = 1) -> dict:
    """Two views with erased x1, boxes of the same ids in other orders, masks and shifts of x2."""
    generator = torch.Generator().manual_seed(seed)
    views = [torch.randn(size, 3, SIDE, SIDE, generator=generator) for _ in range(2)]
    np.random.seed(seed)
    rows = []
    for _ in range(size):
        ids = np.random.permutation(9)[:BOXES]
        pair = []
        for view in range(2):
            corner = np.random.uniform(0, SIDE / 2, (BOXES, 2))
            boxes = np.concatenate([corner, corner + np.random.uniform(8, SIDE / 2, (BOXES, 2))], 1)
            order = np.random.permutation(BOXES)
            entry = dict(
                img=np.zeros((SIDE, SIDE, 3), np.uint8),
                boxes=boxes.astype(np.float32)[order],
                box_ids=ids[order],
            )
            entry = RestrictedBoxJitter()(entry)
            if view == 0:
                entry = ProposalRandomMask()(ProposalRandomCutout()(entry))
            else:
                for mask in (ProposalRandomCutout, ProposalRandomMask):
                    entry = mask(key='erase_small', mask_size=SMALL)(entry)
                entry = ShiftedForeground()(entry)
            pair.append(entry)
        rows.append(pair)

    def stack(view: int, key: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([pair[view][key] for pair in rows]))

    views[0] = views[0].masked_fill(stack(0, 'erase')[:, None], 0.0)
    return dict(
        views=views,
        boxes=[stack(view, 'boxes') for view in range(2)],
        box_ids=[stack(view, 'box_ids') for view in range(2)],
        erase_small=[stack(1, 'erase_small')],
        paste=[stack(1, 'paste')],
        shift=[stack(1, 'shift')],
    )
