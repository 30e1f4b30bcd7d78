"""An object in its own image and in another one: how much of its feature is its surroundings?

The companion of the coupling ratios, and the disturbance of O-KNN-D ("Mind Your Augmentation"
(ICLR 2024), Sec. 5.3) looked at object by object instead of through neighbours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mmdssl.datasets.diagnostics.coco_diagnostic import CocoDiagnostic, squash, squash_mask
from mmdssl.registry import DATASETS

__all__ = ['ObjectBackgrounds']


class _Choice(NamedTuple):
    """An object (image, position within it) and the image that becomes its background."""

    image: int
    number: int
    other: int


@DATASETS.register_module()
class ObjectBackgrounds(CocoDiagnostic):
    """Objects with everything around them exchanged for another random image.

    Views of a sample, (size, size) pixels each, images squashed as for O-KNN: the image, and the
    same with all pixels outside the object taken from another image. One region: the box. One
    object an image, images and objects in a random order.

    Args:
        ann_file: The COCO json file, relative to ``data_root`` unless absolute.
        data_root: Folder that ``ann_file`` and ``data_prefix`` are relative to.
        data_prefix: Folder of the images.
        num: Number of objects.
        seed: Seed of the choice.
        size: Side of the images in pixels.
        keep: What stays: every pixel the 'box' touches, as O-KNN-D, or the object's 'mask'.
        area: Smallest and largest share of the image that the box of a usable object covers.
        min_side: Smallest width and height, in pixels of the file, of a usable object.
        load: Settings of `LoadImage`, for images of n channels; None: photos.

    Raises:
        ValueError: If an argument is not as said, masks are asked for where the file has none, or
            it does not hold enough objects.
    """

    def __init__(
        self,
        *,
        ann_file: str | Path,
        data_root: str | Path = '',
        data_prefix: str | Path | Mapping[str, str] = '',
        num: int = 500,
        seed: int = 0,
        size: int = 224,
        keep: Literal['box', 'mask'] = 'box',
        area: tuple[float, float] = (0.01, 0.5),
        min_side: float = 16,
        load: Mapping[str, Any] | None = None,
    ) -> None:
        if keep not in ('box', 'mask'):
            raise ValueError(f"ObjectBackgrounds: keep={keep!r} must be 'box' or 'mask'")
        if not 0 <= area[0] < area[1] <= 1:
            raise ValueError(f'ObjectBackgrounds: area={area} must rise within [0, 1]')
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            num=num,
            seed=seed,
            min_side=min_side,
            with_masks=keep == 'mask',
            load=load,
        )
        self.size = size
        self.keep = keep
        self.area = (float(area[0]), float(area[1]))
        self.choices = self._choose()

    def selection(self) -> dict[str, Any]:
        """Rule and seed."""
        return dict(**super().selection(), size=self.size, keep=self.keep, area=list(self.area))

    def __len__(self) -> int:
        return len(self.choices)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Views (2, 3, size, size) and ``diagnostic_boxes`` (2, 1, 4)."""
        choice = self.choices[index]
        info = self.objects.get_data_info(choice.image)
        image = squash(self.read_image(choice.image), self.size)
        exchanged = squash(self.read_image(choice.other), self.size)
        height, width = info['ann_shape']
        scale = np.tile([self.size / width, self.size / height], 2)
        box = info['gt_bboxes'][choice.number] * scale
        if self.keep == 'box':
            left, top = np.floor(box[:2]).astype(int)
            right, bottom = np.ceil(box[2:] - 1e-4).astype(int)
            exchanged[top:bottom, left:right] = image[top:bottom, left:right]
        else:
            mask = squash_mask(info['gt_masks'][choice.number], self.size)
            exchanged[mask] = image[mask]
        sample = BaseDataElement(
            diagnostic_boxes=torch.from_numpy(np.tile(box, (2, 1, 1)).astype(np.float32)),
            metainfo=dict(
                sample_idx=index, img_id=info['img_id'], label=int(info['gt_labels'][choice.number])
            ),
        )
        return self.pack(np.stack([image, exchanged]), sample)

    def _choose(self) -> list[_Choice]:
        generator = self.generator('backgrounds')
        choices: list[_Choice] = []
        outlined = self.keep == 'box'
        for image in generator.permutation(len(self.objects)):
            info = self.objects.get_data_info(image)
            boxes, (height, width) = info['gt_bboxes'], info['ann_shape']
            share = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) / (height * width)
            usable = self.large_enough(boxes)
            usable = usable[(share[usable] >= self.area[0]) & (share[usable] <= self.area[1])]
            if self.keep == 'mask':
                usable = np.array([n for n in usable if info['gt_masks'].outlines[n]], int)
                outlined |= any(info['gt_masks'].outlines)
            if not len(usable):
                continue
            number = int(generator.choice(usable))
            choices.append(_Choice(int(image), number, self.other_image(int(image), generator)))
            if len(choices) == self.num:
                return choices
        if not outlined:
            raise ValueError(
                f'ObjectBackgrounds: {self.objects.ann_file} has no segmentation: set '
                "keep='box' or use an annotation file with masks"
            )
        raise self.too_few(
            len(choices),
            f'images with an object of {self.area[0]:.0%} to {self.area[1]:.0%} of their area',
            'lower num, or widen area or min_side',
        )
