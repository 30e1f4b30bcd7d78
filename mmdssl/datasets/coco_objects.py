"""Images with annotated objects in COCO's format, for O-KNN, coupling and ground-truth regions.

The file is parsed once into flat arrays (860,000 objects of COCO: about 25 MB without masks), which
forked workers share.
"""

import gc
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mmdssl.datasets.base import ImageDataset, evenly_spaced
from mmdssl.datasets.image_list import ByteStrings
from mmdssl.datasets.instance_masks import MaskStore
from mmdssl.registry import DATASETS

__all__ = ['CocoObjects']


@DATASETS.register_module()
class CocoObjects(ImageDataset):
    """Images, boxes, labels and masks of a COCO json file.

    Left out: crowds (``iscrowd``) and boxes that, clipped to the image, are narrower or lower
    than ``min_size``.

    A sample's results dict holds

    - ``img_path`` str, ``sample_idx`` int, ``img_id`` (as in the file),
    - ``ann_shape`` (height, width) according to the file,
    - ``gt_bboxes`` (N, 4) float32, x1 y1 x2 y2 in pixels, clipped to the image,
    - ``gt_labels`` (N,) int64, 0..C-1 in the order of category ids,
    - ``gt_masks`` `InstanceMasks`, not decoded before they are asked for.

    Args:
        ann_file: The json file, relative to ``data_root`` unless absolute.
        data_root: Folder that ``ann_file`` and ``data_prefix`` are relative to.
        data_prefix: Folder of the images, as a path or, as mmdet has it, ``dict(img=path)``.
        pipeline: Transforms, as configs or callables.
        min_size: Smallest width and height of a box in pixels.
        keep_empty: Keep images without any object left.
        with_masks: Keep the outlines in memory (COCO train: about 0.3 GB).
        max_images: Use only so many images, evenly spaced over the file. None: all.
        on_bad: ``'raise'`` for an unreadable image, or ``'replace'`` it by another one.
        max_bad_share: Share of unreadable images, 0..1, above which the run ends with an error.
        bad_list: File that lists unreadable images; None: one in the folder for temporary files.

    Raises:
        FileNotFoundError: The annotation file, the image folder or its first image is missing.
        ValueError: The file is no COCO file, an entry lacks a key or refers to something unknown,
            or no image is left.
    """

    def __init__(
        self,
        *,
        ann_file: str | Path,
        data_root: str | Path = '',
        data_prefix: str | Path | Mapping[str, str] = '',
        pipeline: Sequence[dict | Callable] = (),
        min_size: float = 1.0,
        keep_empty: bool = False,
        with_masks: bool = True,
        max_images: int | None = None,
        on_bad: Literal['replace', 'raise'] = 'raise',
        max_bad_share: float = 0.05,
        bad_list: str | Path | None = None,
    ) -> None:
        prefix = data_prefix.get('img', '') if isinstance(data_prefix, Mapping) else data_prefix
        self.ann_file = os.path.join(data_root, ann_file)
        self.image_root = os.path.join(data_root, prefix)
        content = _read_json(self.ann_file)
        try:
            self._parse(content, min_size, keep_empty, with_masks, max_images)
        except KeyError as error:
            raise ValueError(
                f'an entry of {self.ann_file} lacks the key {error}: images need id, file_name, '
                'height, width; annotations image_id, category_id, bbox; categories id, name'
            ) from error
        first = os.path.join(self.image_root, os.fsdecode(self._names[0]))
        if not os.path.exists(first):
            raise FileNotFoundError(
                f'{first}, named in {self.ann_file}, does not exist: check data_root and '
                'data_prefix'
            )
        super().__init__(
            total=len(self._names),
            pipeline=pipeline,
            on_bad=on_bad,
            max_bad_share=max_bad_share,
            bad_list=bad_list,
        )

    @property
    def metainfo(self) -> dict[str, Any]:
        """``classes`` (names by label) and ``ann_file``."""
        return {'classes': self.classes, 'ann_file': self.ann_file}

    def get_data_info(self, index: int) -> dict[str, Any]:
        """The results dict of image ``index``; see the class."""
        index %= len(self)
        start, stop = self._starts[index], self._starts[index + 1]
        shape = (int(self._shapes[index, 0]), int(self._shapes[index, 1]))
        info = {
            'img_path': os.path.join(self.image_root, os.fsdecode(self._names[index])),
            'sample_idx': index,
            'img_id': self._ids[index].item(),
            'ann_shape': shape,
            'gt_bboxes': self._boxes[start:stop].copy(),
            'gt_labels': self._labels[start:stop].copy(),
        }
        if self._masks is not None:
            info['gt_masks'] = self._masks.slice(start, stop, shape)
        return info

    def _parse(
        self,
        content: dict[str, list[dict[str, Any]]],
        min_size: float,
        keep_empty: bool,
        with_masks: bool,
        max_images: int | None,
    ) -> None:
        """Turn the file's lists of dicts into arrays, sorted by image."""
        categories = sorted(content['categories'], key=lambda category: category['id'])
        self.classes = tuple(category['name'] for category in categories)
        images = content['images']
        objects = [a for a in content['annotations'] if not a.get('iscrowd', 0)]

        ids = np.asarray([image['id'] for image in images])
        shapes = np.asarray([(i['height'], i['width']) for i in images], np.int32).reshape(-1, 2)
        owner = self._positions(ids, [a['image_id'] for a in objects], 'image_id')
        category_ids = np.asarray([category['id'] for category in categories])
        labels = self._positions(category_ids, [a['category_id'] for a in objects], 'category_id')
        boxes: np.ndarray = np.asarray([a['bbox'] for a in objects], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # (x, y, w, h) -> (x1, y1, x2, y2)
        limits = shapes[owner][:, [1, 0]]  # (width, height) of each object's image
        boxes = np.clip(boxes, 0, np.tile(limits, 2))
        # NaN compares false, so a box of NaN is left out as well.
        kept = np.flatnonzero((boxes[:, 2:] - boxes[:, :2] >= min_size).all(axis=1))

        counts = np.bincount(owner[kept], minlength=len(images))
        used = np.arange(len(images)) if keep_empty else np.flatnonzero(counts)
        if not len(used):
            raise ValueError(f'no image with an object in {self.ann_file}: nothing to evaluate')
        used = used[evenly_spaced(len(used), max_images)]
        place = np.full(len(images), -1)
        place[used] = np.arange(len(used))
        kept = kept[place[owner[kept]] >= 0]
        kept = kept[np.argsort(place[owner[kept]], kind='stable')]  # file order within an image

        self._ids = ids[used]
        self._shapes = shapes[used]
        self._names = ByteStrings.pack(os.fsencode(images[i]['file_name']) for i in used)
        self._starts = np.concatenate([[0], np.cumsum(counts[used])]).astype(np.int64)
        self._boxes = boxes[kept].astype(np.float32)
        self._labels = labels[kept]
        self._masks = (
            MaskStore(objects[i].get('segmentation') for i in kept) if with_masks else None
        )

    def _positions(
        self, known: npt.NDArray[Any], wanted: list[Any], key: str
    ) -> npt.NDArray[np.int64]:
        """Where each wanted id stands among the known ones."""
        values = np.asarray(wanted, known.dtype)
        if not len(known):
            raise ValueError(f'{self.ann_file} lists nothing that {key} could refer to')
        order = np.argsort(known, kind='stable')
        found = order[np.searchsorted(known, values, sorter=order).clip(max=len(known) - 1)]
        missing = known[found] != values
        if missing.any():
            raise ValueError(
                f'{int(missing.sum())} annotations of {self.ann_file} have an unknown {key}, the '
                f'first {values[missing][0]}: the file is incomplete or put together wrongly'
            )
        return found.astype(np.int64)


def _read_json(path: str) -> dict[str, list[dict[str, Any]]]:
    """The content of a COCO file, its three lists checked for."""
    if not os.path.exists(path):
        raise FileNotFoundError(f'there is no annotation file {path}: check data_root and ann_file')
    with open(path, encoding='utf-8') as file:
        text = file.read()
    # Millions of new lists and no garbage among them: the collector's rounds take a third of the
    # time of parsing COCO's file.
    collecting = gc.isenabled()
    gc.disable()
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is not valid json ({error}): download it again') from error
    finally:
        if collecting:
            gc.enable()
    if not isinstance(content, dict):
        raise ValueError(f'{path} is no COCO file: its top level is not a dict')
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise ValueError(f'{path} is no COCO file with objects: it has no list {key!r}')
    return content
