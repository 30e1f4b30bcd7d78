"""Two objects of different classes, alone and side by side: the views of inter-object coupling.

"Mind Your Augmentation" (ICLR 2024), Sec. 3.1 and App. B; D3SSL, Sec. 3. On a black canvas of two
squares A lies in the left and B in the right one: X^A and X^B hold one object, X^AB both, and in
X^AB more and more of A is missing. The papers leave the composition open. Here an object's box is
cut out and scaled, its proportions kept, until its longer side fills the square but for a margin
of a patch; its sides are rounded to whole patches and it lies on the patch grid, so that a share
of removed patches is exact and neither object's patches hold pixels of the other.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mmdssl.datasets.diagnostics.coco_diagnostic import CocoDiagnostic
from mmdssl.datasets.transforms.views import resize_image
from mmdssl.registry import DATASETS

__all__ = ['ObjectPairs']

RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

_LOOK_BACK = 16  # waiting objects that are tried as a partner


class _Object(NamedTuple):
    """An object of the data: image, position within it, class."""

    image: int
    number: int
    label: int


@DATASETS.register_module()
class ObjectPairs(CocoDiagnostic):
    """Pairs of objects of different classes from different images.

    Views of a sample, (size, 2 * size) pixels each: ``[X^B, X^A, X^AB(r) for r in ratios]`` and
    with ``mask_a1`` also ``[X^A(r) for r in ratios]``. Each has two regions, the boxes of A and B.
    X^A and X^B are made once, not per ratio. Objects are drawn in a random order; each is used
    once and meets the next one of another class.

    Args:
        ann_file: The COCO json file, relative to ``data_root`` unless absolute.
        data_root: Folder that ``ann_file`` and ``data_prefix`` are relative to.
        data_prefix: Folder of the images.
        num: Number of pairs.
        seed: Seed of the choice, of who is A and of the removed patches.
        source: 'single', the rule of "Mind Your Augmentation": objects of images with exactly one
            annotated object (crowds not counted); 'crop': any object of any image, for data
            without such images, whose boxes may then hold parts of neighbours too. Either way
            the object's box is cut out of its image.
        size: Side of a square in pixels.
        patch_size: Side of a patch in pixels; also the unit of the layout for CNNs.
        ratios: Shares of A that are missing in X^AB, in [0, 1), rising.
        remove: 'patches' (ViT): so many of A's patches, drawn anew for every pair, those of a
            smaller ratio among those of a larger one; at least one stays. 'shrink' (CNN): A and
            its box are scaled by ``1 - ratio`` about their centre.
        mask_a1: Also show A alone with the same part missing. Text and caption of the paper
            disagree; the default follows the text: only in X^AB.
        mask_fill: What stands in place of removed patches: 'black' pixels, or the 'token' of a
            backbone with a mask token.
        min_side: Smallest width and height, in pixels of the file, of an object that is used.
        load: Settings of `LoadImage`, for images of n channels; None: photos.

    Raises:
        ValueError: If an argument is not as said or the file does not hold enough pairs.
    """

    def __init__(
        self,
        *,
        ann_file: str | Path,
        data_root: str | Path = '',
        data_prefix: str | Path | Mapping[str, str] = '',
        num: int = 200,
        seed: int = 0,
        source: Literal['single', 'crop'] = 'single',
        size: int = 224,
        patch_size: int = 16,
        ratios: Sequence[float] = RATIOS,
        remove: Literal['patches', 'shrink'] = 'patches',
        mask_a1: bool = False,
        mask_fill: Literal['black', 'token'] = 'black',
        min_side: float = 32,
        load: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value, choices in (
            ('source', source, ('single', 'crop')),
            ('remove', remove, ('patches', 'shrink')),
            ('mask_fill', mask_fill, ('black', 'token')),
        ):
            if value not in choices:
                raise ValueError(f'ObjectPairs: {name}={value!r} must be one of {choices}')
        if mask_fill == 'token' and remove == 'shrink':
            raise ValueError("ObjectPairs: mask_fill='token' needs remove='patches'")
        if patch_size < 1 or size % patch_size or size < 4 * patch_size:
            raise ValueError(
                f'ObjectPairs: size={size} must be a multiple of patch_size={patch_size} and at '
                'least four patches'
            )
        self.ratios = tuple(float(ratio) for ratio in ratios)
        rising = list(self.ratios) == sorted(set(self.ratios))
        if not self.ratios or not rising or not 0 <= min(self.ratios) <= max(self.ratios) < 1:
            raise ValueError(f'ObjectPairs: ratios={ratios!r} must rise within [0, 1)')
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            num=num,
            seed=seed,
            min_side=min_side,
            load=load,
        )
        self.source = source
        self.size = size
        self.patch_size = patch_size
        self.remove = remove
        self.mask_a1 = mask_a1
        self.mask_fill = mask_fill
        self.pairs = self._choose()

    def selection(self) -> dict[str, Any]:
        """Rule, seed and classes: ``classes_used`` counts the objects of each."""
        labels = Counter(one.label for pair in self.pairs for one in pair)
        return dict(
            **super().selection(),
            source=self.source,
            remove=self.remove,
            mask_a1=self.mask_a1,
            mask_fill=self.mask_fill,
            ratios=list(self.ratios),
            size=self.size,
            patch_size=self.patch_size,
            classes_used={self.objects.classes[i]: n for i, n in sorted(labels.items())},
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Views (V, 3, size, 2 * size), ``diagnostic_boxes`` (V, 2, 4), ``token_mask`` with it."""
        a, b = self.pairs[index]
        ratios = self.ratios
        shown, box_a = self._place(a, left=0)
        alone_b, box_b = self._place(b, left=self.size)
        cut, boxes, masks = self._reduce(shown, box_a, index)
        alone = [shown, *cut] if self.mask_a1 else [shown]
        # Objects lie on black and apart: both together are the sum.
        views = np.stack([alone_b, shown, *(one + alone_b for one in cut), *alone[1:]])
        repeat = 2 if self.mask_a1 else 1
        of_a = np.stack([box_a, box_a, *(boxes * repeat)])
        of_b = np.broadcast_to(box_b, of_a.shape)
        sample = BaseDataElement(
            diagnostic_boxes=torch.from_numpy(np.stack([of_a, of_b], axis=1).astype(np.float32)),
            metainfo=dict(
                sample_idx=index,
                img_ids=tuple(self.objects.get_data_info(one.image)['img_id'] for one in (a, b)),
                labels=(a.label, b.label),
                ratios=ratios,
                mask_a1=self.mask_a1,
            ),
        )
        if self.mask_fill == 'token':
            whole = np.zeros_like(masks[0])
            token_mask = np.stack([whole, whole, *(masks * repeat)])
            sample.set_field(torch.from_numpy(token_mask), 'token_mask', dtype=torch.Tensor)
        return self.pack(views, sample)

    def _place(self, item: _Object, *, left: int) -> tuple[np.ndarray, np.ndarray]:
        """An object on an otherwise black canvas, and its box (4,)."""
        info = self.objects.get_data_info(item.image)
        box = info['gt_bboxes'][item.number]
        x1, y1 = np.floor(box[:2]).astype(int)
        x2, y2 = np.ceil(box[2:]).astype(int)
        crop = self.read_image(item.image)[y1:y2, x1:x2]
        patch, inner = self.patch_size, self.size - 2 * self.patch_size
        scale = inner / max(crop.shape[:2])
        height, width = (
            min(inner, max(1, round(side * scale / patch)) * patch) for side in crop.shape[:2]
        )
        # Centred, as far as the patch grid allows.
        top = patch + (inner - height) // 2 // patch * patch
        left += patch + (inner - width) // 2 // patch * patch
        canvas = np.zeros((self.size, 2 * self.size, crop.shape[2]), crop.dtype)
        canvas[top : top + height, left : left + width] = resize_image(crop, (height, width))
        return canvas, np.array([left, top, left + width, top + height], np.float64)

    def _reduce(
        self, canvas: np.ndarray, box: np.ndarray, index: int
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """A with a part missing, for every ratio: canvases, boxes and (h, w) masks of patches."""
        x1, y1, x2, y2 = box.astype(int)
        if self.remove == 'shrink':
            shrunk = [self._shrink(canvas, (x1, y1, x2, y2), ratio) for ratio in self.ratios]
            return [one for one, _ in shrunk], [one for _, one in shrunk], []
        patch = self.patch_size
        rows, columns = (y2 - y1) // patch, (x2 - x1) // patch
        count = rows * columns
        order = self.generator('patches', index).permutation(count)
        canvases, masks = [], []
        for ratio in self.ratios:
            removed = np.zeros(count, bool)
            removed[order[: min(math.floor(ratio * count + 0.5), count - 1)]] = True
            mask = np.zeros((self.size // patch, 2 * self.size // patch), bool)
            mask[y1 // patch : y2 // patch, x1 // patch : x2 // patch] = removed.reshape(
                rows, columns
            )
            masks.append(mask)
            keep = ~mask.repeat(patch, axis=0).repeat(patch, axis=1)[..., None]
            canvases.append(canvas if self.mask_fill == 'token' else canvas * keep)
        return canvases, [box] * len(self.ratios), masks

    def _shrink(
        self, canvas: np.ndarray, box: tuple[int, int, int, int], ratio: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """A scaled by ``1 - ratio`` about its centre, and its box."""
        x1, y1, x2, y2 = box
        height, width = (max(1, round((1 - ratio) * side)) for side in (y2 - y1, x2 - x1))
        top, left = y1 + (y2 - y1 - height) // 2, x1 + (x2 - x1 - width) // 2
        shrunk = np.zeros_like(canvas)
        whole = canvas[y1:y2, x1:x2]
        small = resize_image(whole, (height, width)) if ratio else whole
        shrunk[top : top + height, left : left + width] = small
        return shrunk, np.array([left, top, left + width, top + height], np.float64)

    def _choose(self) -> list[tuple[_Object, _Object]]:
        """Pairs in a random order; an object waits until one of another class comes."""
        candidates = self._candidates()
        generator = self.generator('pairs')
        pairs: list[tuple[_Object, _Object]] = []
        waiting: list[_Object] = []
        for position in generator.permutation(len(candidates)):
            one = candidates[position]
            partner = next(
                (w for w in waiting[-_LOOK_BACK:] if w.label != one.label and w.image != one.image),
                None,
            )
            if partner is None:
                waiting.append(one)
                continue
            waiting.remove(partner)
            pairs.append((one, partner) if generator.random() < 0.5 else (partner, one))
            if len(pairs) == self.num:
                return pairs
        labels = {one.label for one in candidates}
        if len(labels) == 1:
            remedy = 'all its objects that may be used are of one class, pairs need two'
        elif self.source == 'single':
            remedy = "take objects out of images with several by source='crop', or lower num"
        else:
            remedy = 'lower num or min_side'
        kind = 'single-object images' if self.source == 'single' else 'objects'
        found = f'pairs of different classes ({len(candidates)} {kind} of {self.min_side:g} px)'
        raise self.too_few(len(pairs), found, remedy)

    def _candidates(self) -> list[_Object]:
        """Objects that may be used, in the order of the file."""
        candidates = []
        for image in range(len(self.objects)):
            info = self.objects.get_data_info(image)
            if self.source == 'single' and len(info['gt_labels']) != 1:
                continue
            for number in self.large_enough(info['gt_bboxes']):
                label = int(info['gt_labels'][number])
                candidates.append(_Object(image, int(number), label))
        return candidates
