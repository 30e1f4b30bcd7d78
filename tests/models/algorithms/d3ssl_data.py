"""A batch that the workers of D3SSL's configs make, from random pictures and boxes."""

from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import default_collate

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.transforms.boxes import ids_key

CONFIG = Path(__file__).parents[3] / 'configs/_base_/datasets/d3ssl_views_128px.py'


def load_steps() -> Config:
    """The base config of the small views."""
    return Config.fromfile(CONFIG)


def worker_batch(steps: list[dict], *, size: int = 4, seed: int = 0) -> dict:
    """``size`` images with 1 to 8 proposals each through the steps behind loading, collated."""
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    pipeline, samples = build_pipeline(steps), []
    for index in range(size):
        height, width = rng.integers(90, 200, 2)
        count = 1 + index % 8
        corners = rng.uniform(0, 0.6, (count, 2))
        sizes = rng.uniform(0.2, 0.39, (count, 2))
        shares = np.concatenate([corners, corners + sizes], axis=1)
        boxes = (shares * np.array([width, height] * 2)).astype(np.float32)
        samples.append(
            pipeline(
                {
                    'img': rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
                    'proposals': boxes,
                    ids_key('proposals'): 10 + np.arange(count),
                }
            )
        )
    return default_collate(samples)
