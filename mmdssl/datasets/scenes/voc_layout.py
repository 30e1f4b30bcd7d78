"""Scenes once more in the layout of PASCAL VOC, for what reads that: one xml file an image.

COCO's box is corner and size, ``x, y, w, h`` from 0; VOC's is the first and the last pixel that
belong to the object, counted from 1: ``x + 1, y + 1, x + w, y + h``. mmdet's ``XMLDataset`` takes
1 off all four.
"""

import json
import shutil
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from mmdssl.core.checkpointing import atomic_text

__all__ = ['write_voc']

SETS = {'train': 'trainval', 'val': 'test'}


def write_voc(scenes: str | Path, out: str | Path, *, progress: bool = True) -> dict[str, int]:
    """Write the scenes of a folder (:func:`write_scenes`) below ``out`` as VOC has them.

    ::

        out/JPEGImages/train_000000.jpg ...    the same files
        out/Annotations/train_000000.xml ...   class and box of every object, none difficult
        out/ImageSets/Main/trainval.txt, test.txt    names of the training and validation images

    The lists are written last: where they exist, everything in them does.

    Args:
        scenes: A folder of scenes, complete.
        out: The folder; made where missing. Written over where it holds such lists.
        progress: Show a progress bar.

    Returns:
        Number of images of ``trainval`` and ``test``.

    Raises:
        FileNotFoundError: ``scenes`` holds no scenes, or lacks images.
        ValueError: ``out`` holds something else, or annotations are broken.
    """
    scenes, out = Path(scenes), Path(out)
    content = {split: _read(scenes, split) for split in SETS}
    lists = out / 'ImageSets' / 'Main'
    if out.exists() and any(out.iterdir()) and not (out / 'ImageSets').is_dir():
        raise ValueError(f'{out} holds something else than VOC data: choose another folder')
    for folder in (out / 'JPEGImages', out / 'Annotations', lists):
        folder.mkdir(parents=True, exist_ok=True)
    for name in SETS.values():
        (lists / f'{name}.txt').unlink(missing_ok=True)
    numbers = {}
    for split, coco in content.items():
        objects = defaultdict(list)
        for annotation in coco['annotations']:
            objects[annotation['image_id']].append(annotation)
        classes = {category['id']: category['name'] for category in coco['categories']}
        names = []
        shown = track(coco['images'], f'VOC {split}', disable=not progress)
        for image in shown:
            name = f'{split}_{Path(image["file_name"]).stem}'
            shutil.copyfile(scenes / split / image['file_name'], out / f'JPEGImages/{name}.jpg')
            text = _annotation(name, image, objects[image['id']], classes)
            (out / f'Annotations/{name}.xml').write_text(text, encoding='utf-8')
            names.append(f'{name}\n')
        numbers[SETS[split]] = len(names)
        atomic_text(''.join(names), lists / f'{SETS[split]}.txt')
    return numbers


def _read(scenes: Path, split: str) -> dict[str, Any]:
    """Annotations of a split whose images are all there."""
    file = scenes / 'annotations' / f'instances_{split}.json'
    if not file.is_file():
        raise FileNotFoundError(
            f'no scenes in {scenes}, {file} is missing: write them with mmdssl scenes {scenes}'
        )
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        files = [image['file_name'] for image in content['images']]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{file} holds no annotations of COCO: {error!r}') from error
    missing = [name for name in files if not (scenes / split / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(files)} images of {file} are missing, the first is '
            f'{scenes / split / missing[0]}: mmdssl scenes {scenes} completes them'
        )
    return content


def _annotation(
    name: str,
    image: Mapping[str, Any],
    objects: Sequence[Mapping[str, Any]],
    classes: Mapping[int, str],
) -> str:
    """The xml of one image."""
    width, height = image['width'], image['height']
    root = ET.Element('annotation')
    ET.SubElement(root, 'folder').text = 'JPEGImages'
    ET.SubElement(root, 'filename').text = f'{name}.jpg'
    _values(ET.SubElement(root, 'size'), width=width, height=height, depth=3)
    for item in objects:
        x, y, w, h = item['bbox']
        cut = x <= 0 or y <= 0 or x + w >= width or y + h >= height
        node = ET.SubElement(root, 'object')
        ET.SubElement(node, 'name').text = classes[item['category_id']]
        _values(node, truncated=int(cut), difficult=0)
        _values(ET.SubElement(node, 'bndbox'), xmin=x + 1, ymin=y + 1, xmax=x + w, ymax=y + h)
    ET.indent(root)
    return ET.tostring(root, encoding='unicode') + '\n'


def _values(node: ET.Element, **values: int) -> None:
    for key, value in values.items():
        ET.SubElement(node, key).text = str(value)
