"""Images with annotated objects in COCO's format, for O-KNN, coupling and ground-truth regions.

The file is parsed once into flat arrays (860,000 objects of COCO: about 25 MB without masks), which
forked workers share.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mmdssl.core.wording import printable
from mmdssl.datasets.base import ImageDataset, evenly_spaced
from mmdssl.datasets.coco_checks import check_files, check_orientation, tell_left_out
from mmdssl.datasets.coco_file import CocoFile, read_coco
from mmdssl.datasets.image_list import ByteStrings
from mmdssl.datasets.instance_masks import MaskStore
from mmdssl.datasets.outlines import Outline, parse_outline
from mmdssl.registry import DATASETS

__all__ = ['CocoObjects']


@DATASETS.register_module()
class CocoObjects(ImageDataset):
    """Images, boxes, labels and masks of a COCO json file.

    Left out, with a line in the log: crowds (``iscrowd``) and boxes that, clipped to the image, are
    narrower or lower than ``min_size``.

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
        part: (k, n): of n interleaved parts of the images the k-th, k from 1, so that settings may
            be chosen on one part and judged on another. None: all images.
        max_images: Use only so many images, evenly spaced over the file or the part. None: all.
        on_bad: ``'raise'`` for an unreadable image, or ``'replace'`` it by another one.
        max_bad_share: Share of unreadable images, 0..1, above which the run ends with an error.
        bad_list: File that lists unreadable images; None: one in the folder for temporary files.

    Raises:
        FileNotFoundError: The annotation file or an image is missing (a few images may be where a
            training is measured, see `missing_left_out`).
        ValueError: The file is no COCO file, an entry of it cannot be used (see `read_coco`), an
            outline is of another size, no image is left, or there is no such part.
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
        part: Sequence[int] | None = None,
        max_images: int | None = None,
        on_bad: Literal['replace', 'raise'] = 'raise',
        max_bad_share: float = 0.05,
        bad_list: str | Path | None = None,
    ) -> None:
        prefix = data_prefix.get('img', '') if isinstance(data_prefix, Mapping) else data_prefix
        self.ann_file = os.path.join(data_root, ann_file)
        self.image_root = os.path.join(data_root, prefix)
        self._fill(read_coco(self.ann_file), min_size, keep_empty, with_masks, part, max_images)
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

    def _fill(
        self,
        content: CocoFile,
        min_size: float,
        keep_empty: bool,
        with_masks: bool,
        part: Sequence[int] | None,
        max_images: int | None,
    ) -> None:
        """Turn the file's objects into arrays, sorted by image."""
        owner, shapes = content.owner, content.shapes
        boxes = content.boxes.copy()
        boxes[:, 2:] += boxes[:, :2]  # (x, y, w, h) -> (x1, y1, x2, y2)
        limits = shapes[owner][:, [1, 0]]  # (width, height) of each object's image
        check_orientation(content, boxes, limits, self.image_root)
        clipped = np.clip(boxes, 0, np.tile(limits, 2))
        # NaN compares false, so a box of NaN is left out as well.
        large = np.all(clipped[:, 2:] - clipped[:, :2] >= min_size, axis=1)
        kept = np.flatnonzero(large)

        counts = np.bincount(owner[kept], minlength=len(shapes))
        empty = 0 if keep_empty else int((counts == 0).sum())
        tell_left_out(content, boxes, large, min_size, empty)
        used = np.arange(len(shapes)) if keep_empty else np.flatnonzero(counts)
        if not len(used):
            raise ValueError(
                f'no image with an object in {printable(self.ann_file)}: nothing to evaluate'
            )
        used = _part(used, part)
        used = used[evenly_spaced(len(used), max_images)]
        names = [os.fsencode(content.names[index]) for index in used]
        used = used[check_files(self.ann_file, self.image_root, names)]
        place = np.full(len(shapes), -1)
        place[used] = np.arange(len(used))
        kept = kept[place[owner[kept]] >= 0]
        kept = kept[np.argsort(place[owner[kept]], kind='stable')]  # file order within an image

        self.classes = content.classes
        self._ids = np.asarray([content.ids[index] for index in used])  # whole numbers or texts
        self._shapes = shapes[used]
        self._names = ByteStrings.pack(os.fsencode(content.names[index]) for index in used)
        self._starts = np.concatenate([[0], np.cumsum(counts[used])]).astype(np.int64)
        self._boxes = clipped[kept].astype(np.float32)
        self._labels = content.labels[kept]
        self._masks = MaskStore(_outlines(content, kept)) if with_masks else None


def _part(images: npt.NDArray[np.int64], part: Sequence[int] | None) -> npt.NDArray[np.int64]:
    """The k-th of n interleaved parts.

    Raises:
        ValueError: There is no such part, or no image is in it.
    """
    if part is None:
        return images
    number, parts = part if len(part) == 2 else (0, 0)
    if not 1 <= number <= min(parts, len(images)):
        raise ValueError(
            f'part={tuple(part)}: give (k, n) with 1 <= k <= n, the k-th of n parts, n at most the '
            f'{len(images)} images'
        )
    return images[number - 1 :: parts]


def _outlines(content: CocoFile, kept: npt.NDArray[np.int64]) -> Iterator[Outline | None]:
    """Outlines of the objects ``kept``.

    Raises:
        ValueError: One cannot be used.
    """
    for number in kept:
        value = content.annotations[number].get('segmentation')
        height, width = content.shapes[content.owner[number]].tolist()
        try:
            yield parse_outline(value, (height, width))
        except ValueError as error:
            raise ValueError(f'{content.where(number)} {error}') from error
