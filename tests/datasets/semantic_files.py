"""Small segmentation data on disk: coloured stripes whose class is their colour."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ('background', 'red', 'green', 'blue')
COLOURS = np.array([[120, 120, 120], [230, 40, 40], [40, 230, 40], [40, 40, 230]], np.uint8)


def write_semantic(
    root: Path, images: int = 4, *, seed: int = 0, cells: int = 4, side: int = 16
) -> None:
    """``img/<n>.jpg`` and ``ann/<n>.png`` , ``cells`` squares a side, each of ``side`` pixels."""
    rng = np.random.default_rng(seed)
    (root / 'img').mkdir(parents=True)
    (root / 'ann').mkdir()
    for number in range(images):
        kinds = rng.integers(0, len(CLASSES), (cells, cells)).astype(np.uint8)
        labels = kinds.repeat(side, axis=0).repeat(side, axis=1)
        Image.fromarray(COLOURS[labels]).save(root / 'img' / f'{number:03d}.jpg', quality=95)
        Image.fromarray(labels).save(root / 'ann' / f'{number:03d}.png')


def folder(root: Path, **changes) -> dict:
    """Config of that data as a ``SemanticFolder``."""
    settings = dict(
        type='SemanticFolder',
        classes=CLASSES,
        data_root=str(root),
        data_prefix=dict(img_path='img', seg_map_path='ann'),
    )
    return settings | changes
