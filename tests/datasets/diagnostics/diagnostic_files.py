"""A COCO data set whose objects lie on a grid, so that what diagnostics must give is known."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 112  # of the images, pixels
SIDE = 56  # of the objects: 14 cells of 4 pixels, 7 of them a quarter


def write_objects(
    root: Path,
    *,
    images: int = 12,
    classes: int = 3,
    objects: int = 1,
    masks: bool = True,
    seed: int = 0,
) -> dict[str, str]:
    """Noise images with ``objects`` (1 or 2) square objects in quadrants of their own.

    An object is noise in the colour of its class; class of object k of image i: (i + k) modulo
    ``classes``. Masks fill the boxes.

    Returns:
        ``ann_file`` and ``data_prefix``, absolute.
    """
    rng = np.random.default_rng(seed)
    (root / 'images').mkdir(parents=True)
    content: dict[str, list[dict]] = dict(images=[], annotations=[], categories=[])
    colours = np.random.default_rng(5).integers(30, 226, (classes, 3))
    for label in range(classes):
        content['categories'].append(dict(id=label + 1, name=f'class {label}'))
    for number in range(images):
        pixels = rng.integers(0, 256, 3) + rng.integers(-30, 31, (SIZE, SIZE, 3))
        for k, place in enumerate(rng.permutation(4)[:objects]):
            label = (number + k) % classes
            y, x = SIDE * (place // 2), SIDE * (place % 2)
            noise = rng.integers(-30, 31, (SIDE, SIDE, 3))
            pixels[y : y + SIDE, x : x + SIDE] = colours[label] + noise
            corners = [x, y, x + SIDE, y, x + SIDE, y + SIDE, x, y + SIDE]
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=number + 1,
                    category_id=label + 1,
                    bbox=[int(x), int(y), SIDE, SIDE],
                    area=SIDE * SIDE,
                    iscrowd=0,
                    **(dict(segmentation=[[int(c) for c in corners]]) if masks else {}),
                )
            )
        name = f'{number:03d}.png'
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / 'images' / name)
        content['images'].append(dict(id=number + 1, file_name=name, height=SIZE, width=SIZE))
    (root / 'objects.json').write_text(json.dumps(content))
    return dict(ann_file=str(root / 'objects.json'), data_prefix=str(root / 'images'))
