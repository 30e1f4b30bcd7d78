"""A small COCO data set on disk whose objects tell their class by colour."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = np.array([[230, 40, 40], [40, 230, 40], [40, 40, 230], [230, 230, 40]], np.uint8)


def write_coco(root: Path, split: str, images: int, *, seed: int = 0, objects: int = 3) -> None:
    """``images`` noisy grey pictures with up to ``objects`` coloured boxes each, at least one.

    Files: ``annotations/instances_{split}.json``, ``{split}/{number}.png``.
    """
    rng = np.random.default_rng(seed)
    (root / split).mkdir(parents=True)
    (root / 'annotations').mkdir(exist_ok=True)
    content: dict[str, list[dict]] = dict(images=[], annotations=[], categories=[])
    for label in range(len(COLOURS)):
        content['categories'].append(dict(id=10 + label, name=f'colour {label}'))
    for number in range(images):
        height, width = int(rng.integers(60, 100)), int(rng.integers(60, 100))
        pixels = rng.integers(90, 160, (height, width, 3)).astype(np.uint8)
        for _ in range(int(rng.integers(1, objects + 1))):
            label = int(rng.integers(len(COLOURS)))
            w, h = (int(n) for n in rng.integers(12, 30, 2))
            x, y = int(rng.integers(width - w)), int(rng.integers(height - h))
            pixels[y : y + h, x : x + w] = COLOURS[label]
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=100 + number,
                    category_id=10 + label,
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=0,
                )
            )
        name = f'{number:03d}.png'
        Image.fromarray(pixels).save(root / split / name)
        content['images'].append(dict(id=100 + number, file_name=name, height=height, width=width))
    (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps(content))


def part(split: str, *steps: dict) -> dict:
    """A part of ``TaggedConcat`` over :func:`write_coco`'s files, packed after ``steps``."""
    return dict(
        type='CocoObjects',
        ann_file=f'annotations/instances_{split}.json',
        data_prefix=split,
        pipeline=[*steps, dict(type='PackObjects')],
    )


def knn_loader(root: Path, *, size: int = 32, num_workers: int = 0) -> dict:
    """A loader of clean and disturbed parts of the splits 'train' and 'val'."""
    disturb = dict(type='DisturbBackground')
    return dict(
        batch_size=4,
        num_workers=num_workers,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='TaggedConcat',
            data_root=str(root),
            pipeline=[
                dict(type='LoadImage'),
                dict(type='SelectObjects', num=3),
                dict(type='ResizeWithBoxes', size=size),
            ],
            datasets=dict(
                bank=part('train'),
                query=part('val'),
                bank_disturbed=part('train', disturb),
                query_disturbed=part('val', disturb),
            ),
        ),
    )
