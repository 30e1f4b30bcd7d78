"""Write scenes as a data set: COCO json files, JPEG images, ADE20K-style label maps.

Every file is written under a temporary name and renamed, so a file that exists is whole: an
interrupted run goes on where it stopped when it is started again.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from rich.progress import track

from mmdssl.datasets.scenes.bands import BANDS, encode_bands, to_bands
from mmdssl.datasets.scenes.layout import draw_layout
from mmdssl.datasets.scenes.polygons import mask_to_polygons
from mmdssl.datasets.scenes.render import render
from mmdssl.datasets.scenes.spec import SceneSpec
from mmdssl.datasets.scenes.statistics import association

__all__ = ['write_scenes']

_VERSION = 1  # of the drawing: the same parameters give the same pixels within one version
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]
_ENDINGS = {3: '.jpg', 5: '.tif'}  # by channels
_TEMPORARY = '.tmp'

Task = tuple[str, int]  # split, index


class _Scene(NamedTuple):
    """What the annotation files need to know of a scene."""

    number: int
    background: int
    labels: list[int]
    boxes: list[list[int]]
    areas: list[int]
    polygons: list[list[list[int]]]


def write_scenes(
    out: str | Path,
    spec: SceneSpec,
    *,
    images: int,
    val_images: int,
    workers: int = 1,
    progress: bool = True,
    channels: Literal[3, 5] = 3,
) -> dict[str, Any]:
    """Write ``images`` training and ``val_images`` validation scenes below ``out``.

    ::

        out/train/000000.jpg ...            RGB scenes (and out/val), or .tif of 5 channels
        out/annotations/instances_train.json, instances_val.json    COCO: boxes, polygons
        out/semantic/train/000000.png ...   labels: 0 background, 1..C = COCO category id
        out/scenes.json                     parameters, counts, class-background association

    Boxes, areas and polygons are those of the visible parts, exact to the pixel. What is written
    depends on ``spec`` and an image's index only, not on ``workers`` or interruptions. A folder
    that holds scenes of the same parameters is completed, also to more images than before.

    Args:
        out: The folder; made where missing.
        spec: Parameters of the set.
        images: Number of training images.
        val_images: Number of validation images.
        workers: Number of processes.
        progress: Show a progress bar.
        channels: 3, or 5: TIFF files of 12 bits in 16 in place of JPEG, see `bands`.

    Returns:
        The content of ``scenes.json``.

    Raises:
        ValueError: The numbers make no sense, or ``out`` holds something else.
        ModuleNotFoundError: ``channels=5`` without the package tifffile.
    """
    if channels not in (3, 5):
        raise ValueError(f'scenes have 3 or 5 channels, not {channels}')
    if images < 1 or val_images < 0:
        raise ValueError(f'cannot write {images} training and {val_images} validation images')
    out = Path(out)
    splits = {'train': images, 'val': val_images}
    record: dict[str, Any] = {
        'version': _VERSION,
        'spec': spec.as_dict(),
        'images': splits,
        'complete': False,
        'tied_classes': {
            name: [spec.classes[i].name for i in group]
            for name, group in zip(spec.backgrounds, spec.groups, strict=True)
        },
    }
    if channels != 3:
        record['channels'] = list(BANDS)
    _check_folder(out, record)
    for split in splits:
        for folder in (out / split, out / 'semantic' / split):
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(f'*{_TEMPORARY}'):
                leftover.unlink()
    (out / 'annotations').mkdir(exist_ok=True)
    _write(out / 'scenes.json', _to_json(record))

    tasks = [(split, index) for split, total in splits.items() for index in range(total)]
    scenes: dict[str, list[_Scene]] = {split: [] for split in splits}
    with _run(partial(_make_scene, out, spec, channels), tasks, workers) as results:
        shown = track(results, f'scenes {out}', len(tasks), disable=not progress)
        for split, scene in shown:
            scenes[split].append(scene)

    record['splits'] = {}
    for split, made in scenes.items():
        made.sort()
        _write(
            out / 'annotations' / f'instances_{split}.json',
            _to_json(_coco(spec, made, _ENDINGS[channels])),
        )
        backgrounds = [scene.background for scene in made]
        labels = [scene.labels for scene in made]
        record['splits'][split] = association(spec, backgrounds, labels)
    record['complete'] = True
    _write(out / 'scenes.json', _to_json(record, indent=1))
    return record


def _check_folder(out: Path, record: dict[str, Any]) -> None:
    """Refuse to mix scenes of different parameters, or scenes with other images."""
    file = out / 'scenes.json'
    if not file.exists():
        folders = [out / split for split in record['images']]
        if any(folder.exists() and any(folder.iterdir()) for folder in folders):
            raise ValueError(f'{out} holds images that are no scenes: choose another folder')
        return
    before = json.loads(file.read_text())
    if before.get('version') != record['version']:
        raise ValueError(f'{out} holds scenes of another version: remove it or choose another')
    if before.get('channels') != record.get('channels'):
        raise ValueError(
            f'{out} holds scenes of other channels: remove it or choose another folder'
        )
    for key, value in record['spec'].items():
        if before['spec'].get(key) != value:
            raise ValueError(
                f'{out} holds scenes with {key} {before["spec"].get(key)}, not {value}: remove it '
                'or choose another folder'
            )
    for split, total in record['images'].items():
        if before['images'][split] > total:
            raise ValueError(
                f'{out} holds {before["images"][split]} {split} images, more than {total}: remove '
                'it or choose another folder'
            )


@contextmanager
def _run(
    function: Callable[[Task], tuple[str, _Scene]], tasks: list[Task], workers: int
) -> Iterator[Iterable[tuple[str, _Scene]]]:
    """The results of all tasks in any order, from this process or from a pool."""
    if workers <= 1:
        yield map(function, tasks)
        return
    with multiprocessing.Pool(workers, _start_worker) as pool:
        yield pool.imap_unordered(function, tasks, chunksize=16)


def _start_worker() -> None:
    """One thread a process; an interrupt is the parent's business, which ends the pool."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # how a pool ends; the parent may handle it


def _make_scene(out: Path, spec: SceneSpec, channels: int, task: Task) -> tuple[str, _Scene]:
    """Draw one scene, write its files unless they are there, return its annotations."""
    split, index = task
    layout = draw_layout(spec, split, index)
    image_file = out / split / f'{index:06d}{_ENDINGS[channels]}'
    if not image_file.exists():
        # The label map first: where the image exists, both are whole.
        label_file = out / 'semantic' / split / f'{index:06d}.png'
        _write(label_file, _encode('.png', layout.semantic()))
        image = render(spec, layout, split, index)
        if channels == 3:
            content = _encode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _JPEG)
        else:
            content = encode_bands(to_bands(image, spec, layout, split, index))
        _write(image_file, content)
    boxes, areas, polygons = [], [], []
    for number, item in enumerate(layout.objects):
        x, y = item.box[:2]
        mask = layout.mask(number)[y : item.box[3], x : item.box[2]]  # a small part of the image
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
        boxes.append([int(n) for n in (x + columns[0], y + rows[0], width, height)])
        areas.append(int(np.count_nonzero(mask)))
        polygons.append(mask_to_polygons(mask, offset=(x, y)))
    labels = [item.label for item in layout.objects]
    return split, _Scene(index, layout.background, labels, boxes, areas, polygons)


def _coco(spec: SceneSpec, scenes: list[_Scene], ending: str) -> dict[str, Any]:
    """The COCO annotation file of a split."""
    images = [
        {
            'id': scene.number + 1,
            'file_name': f'{scene.number:06d}{ending}',
            'width': spec.size,
            'height': spec.size,
            'background': spec.backgrounds[scene.background],
        }
        for scene in scenes
    ]
    annotations = [
        {
            'image_id': scene.number + 1,
            'category_id': label + 1,
            'bbox': box,
            'area': area,
            'segmentation': polygons,
            'iscrowd': 0,
        }
        for scene in scenes
        for label, box, area, polygons in zip(*scene[2:], strict=True)
    ]
    for number, annotation in enumerate(annotations):
        annotation['id'] = number + 1
    categories = [
        {'id': i + 1, 'name': entry.name, 'supercategory': spec.backgrounds[entry.group]}
        for i, entry in enumerate(spec.classes)
    ]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def _encode(ending: str, image: np.ndarray, parameters: list[int] | None = None) -> bytes:
    return cv2.imencode(ending, image, parameters or [])[1].tobytes()


def _to_json(content: dict[str, Any], indent: int | None = None) -> bytes:
    separators = (',', ':') if indent is None else None
    return json.dumps(content, indent=indent, separators=separators).encode()


def _write(file: Path, content: bytes) -> None:
    """Write under a temporary name, then rename."""
    temporary = file.with_name(f'{file.name}.{os.getpid()}{_TEMPORARY}')
    temporary.write_bytes(content)
    os.replace(temporary, file)
