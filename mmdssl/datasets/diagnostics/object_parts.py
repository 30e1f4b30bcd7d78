"""A part of an object among what else may stand around it: the views of intra-object coupling.

"Mind Your Augmentation" (ICLR 2024), Sec. 3.2: the part is where the object's mask meets a quarter
of its box. In X^OP the rest is removed (black), in X^C it is taken from another image. Whether
the rest is that of the object (the figure's caption) or everything outside the part (the text) is
open; both are made, and the metric names the one it reads.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mmdssl.datasets.diagnostics.coco_diagnostic import CocoDiagnostic, squash, squash_mask
from mmdssl.registry import DATASETS

__all__ = ['ObjectParts']

Rest = Literal['object', 'all']
RESTS: tuple[Rest, ...] = ('object', 'all')


class _Choice(NamedTuple):
    """An object (image, position within it), the quarter of its box, and the other image."""

    image: int
    number: int
    quarter: int
    other: int


@DATASETS.register_module()
class ObjectParts(CocoDiagnostic):
    """Quarters of objects with the rest removed and with the rest exchanged.

    Views of a sample, (size, size) pixels each, images squashed as for O-KNN: ``[X^OP, X^C]`` for
    every entry of ``rests``. One region in all of them: the mask of the part, as
    ``diagnostic_weights``. One object an image; images, objects and quarters in a random order, the
    first quarter with a part of ``min_part`` being taken.

    Args:
        ann_file: The COCO json file with masks, relative to ``data_root`` unless absolute.
        data_root: Folder that ``ann_file`` and ``data_prefix`` are relative to.
        data_prefix: Folder of the images.
        num: Number of objects.
        seed: Seed of the choice.
        size: Side of the images in pixels.
        rests: What is removed and exchanged: 'object', the rest of the object, while its
            surroundings stay; 'all', everything outside the part.
        min_part: Smallest share of the image that the part, and the rest of the object, covers;
            the default is one of 14 x 14 patches.
        min_side: Smallest width and height, in pixels of the file, of a usable object.
        load: Settings of `LoadImage`, for images of n channels; None: photos.

    Raises:
        ValueError: If an argument is not as said, the file has no masks or not enough objects.
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
        rests: Sequence[Rest] = RESTS,
        min_part: float = 1 / 196,
        min_side: float = 16,
        load: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(rests, str) or not rests or not set(rests) <= set(RESTS):
            raise ValueError(f'ObjectParts: rests={rests!r} must be a list out of {RESTS}')
        if not 0 < min_part < 0.25:
            raise ValueError(f'ObjectParts: min_part={min_part} must lie between 0 and 0.25')
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            num=num,
            seed=seed,
            min_side=min_side,
            with_masks=True,
            load=load,
        )
        self.size = size
        self.rests = tuple(rests)
        self.min_part = min_part
        self.choices = self._choose()

    def selection(self) -> dict[str, Any]:
        """Rule and seed."""
        return dict(
            **super().selection(), size=self.size, rests=list(self.rests), min_part=self.min_part
        )

    def __len__(self) -> int:
        return len(self.choices)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Views (2 * rests, 3, size, size), ``diagnostic_weights`` (2 * rests, 1, size, size)."""
        choice = self.choices[index]
        info = self.objects.get_data_info(choice.image)
        whole, part = self._part(info, choice.number, choice.quarter)
        image = squash(self.read_image(choice.image), self.size)
        other = squash(self.read_image(choice.other), self.size)
        views = []
        for rest in self.rests:
            gone = (whole & ~part if rest == 'object' else ~part)[..., None]
            views += [np.where(gone, image.dtype.type(0), image), np.where(gone, other, image)]
        weights = torch.from_numpy(part).expand(len(views), 1, -1, -1)
        sample = BaseDataElement(
            diagnostic_weights=weights,
            metainfo=dict(
                sample_idx=index,
                img_id=info['img_id'],
                label=int(info['gt_labels'][choice.number]),
                rests=self.rests,
            ),
        )
        return self.pack(np.stack(views), sample)

    def _part(
        self, info: dict[str, Any], number: int, quarter: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Masks (size, size) of the object and of its part in a quarter of the box, 0..3."""
        whole = squash_mask(info['gt_masks'][number], self.size)
        height, width = info['ann_shape']
        x1, y1, x2, y2 = info['gt_bboxes'][number]
        columns = np.rint(np.array([x1, (x1 + x2) / 2, x2]) * self.size / width).astype(int)
        rows = np.rint(np.array([y1, (y1 + y2) / 2, y2]) * self.size / height).astype(int)
        down, right = divmod(quarter, 2)
        window = slice(rows[down], rows[down + 1]), slice(columns[right], columns[right + 1])
        part = np.zeros_like(whole)
        part[window] = whole[window]
        return whole, part

    def _choose(self) -> list[_Choice]:
        generator = self.generator('parts')
        least = self.min_part * self.size**2
        choices: list[_Choice] = []
        outlined = False
        for image in generator.permutation(len(self.objects)):
            info = self.objects.get_data_info(image)
            outlines = info['gt_masks'].outlines
            usable = [n for n in self.large_enough(info['gt_bboxes']) if outlines[n]]
            outlined |= any(outlines)
            if not usable:
                continue
            # One object an image is tried: decoding is the price of this search.
            number = int(generator.choice(usable))
            other = self.other_image(int(image), generator)
            for quarter in generator.permutation(4):
                whole, part = self._part(info, number, int(quarter))
                if min(part.sum(), (whole & ~part).sum()) >= least:
                    choices.append(_Choice(int(image), number, int(quarter), other))
                    break
            if len(choices) == self.num:
                return choices
        if not outlined:
            raise ValueError(
                f'ObjectParts: {self.objects.ann_file} has no segmentation: intra-object coupling '
                'needs an annotation file with masks'
            )
        raise self.too_few(
            len(choices),
            f'images with an object a quarter of which covers {self.min_part:.2%} of the image',
            'lower num, min_part or min_side',
        )
