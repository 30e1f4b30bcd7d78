"""Proposals for a picture: read from a file made beforehand, or searched on the spot.

Both write boxes as SoCo (NeurIPS 2021) uses them, x1, y1, x2 = x1 + w - 1, y2 = y1 + h - 1 in
pixels of the picture as loaded, and belong right after `LoadImage`, before anything that moves
pixels. As in its official code a box has as many rows, each with an id of its own, as the search
gave it: `CommonBoxViews` draws rows, so that it is chosen as much more often. Of the rows of a COCO
photo that pass the filter about half are repetitions. ``unique=True`` gives each box one row.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.channels import false_colours
from mmdssl.datasets.proposals.filters import ProposalFilter, counted_boxes, whole_image
from mmdssl.datasets.proposals.part_files import open_proposals
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.transforms.boxes import ids_key
from mmdssl.registry import TRANSFORMS

__all__ = ['LoadProposals', 'SelectiveSearch']


@TRANSFORMS.register_module()
class LoadProposals(BaseTransform):
    """Boxes of a picture from the file of ``mmdssl proposals``.

    Required keys: ``img_path``, ``img``. Added keys: ``proposals`` (N, 4) float32 x1 y1 x2 y2 in
    pixels of ``img``, N >= 1 (a picture without proposals has itself as one), the rows of a
    repeated box next to each other, and ``proposals_ids`` (N,) int64, 1..N.

    The file knows images by their path below the folder that was searched. Which folder that is
    here follows from the first image: the longest end of its path that the file holds. All other
    images must lie below the same folder; where the data set has another layout, name the folder
    in ``image_root``.

    Args:
        file: The proposals file, or the folder of one file a part.
        image_root: Folder that the names in the file are relative to. None: found as said.
        expect: Parameters the proposals must have been made with, such as ``dict(scale=300,
            min_side=32)``. None: any.
        unique: Each box once, in place of as often as the search gave it.
        key: Key of ``results`` to write.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no proposals file, damaged, or made with other parameters. While loading:
            the file does not hold an image, or searched it at another size.
    """

    def __init__(
        self,
        *,
        file: str | Path,
        image_root: str | Path | None = None,
        expect: Mapping[str, Any] | None = None,
        unique: bool = False,
        key: str = 'proposals',
    ) -> None:
        self.store = open_proposals(file, expect=expect)
        self.unique = unique
        self.image_root = None if image_root is None else os.path.abspath(image_root)
        self.key = key

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Write the boxes; see the class."""
        row = self._find(results['img_path'])
        shape = results['img'].shape[:2]
        searched = self.store.shape(row)
        if shape != searched:
            turned = shape == searched[::-1]
            remedy = (
                "give LoadImage and the proposals the same 'exif'"
                if turned
                else 'put LoadProposals right after LoadImage, or make the proposals of these files'
            )
            raise ValueError(
                f'{results["img_path"]} has height x width {shape[0]} x {shape[1]}, but its '
                f'proposals in {self.store.path} were searched at {searched[0]} x {searched[1]}: '
                f'boxes would not fit; {remedy}'
            )
        boxes = self.store.boxes(row, unique=self.unique)
        results[self.key] = boxes
        results[ids_key(self.key)] = np.arange(1, len(boxes) + 1)
        return results

    def row(self, path: str) -> int:
        """Row of an image in the store.

        Raises:
            ValueError: The file does not hold it.
        """
        return self._find(path)

    def _find(self, path: str) -> int:
        """Row of an image in the store."""
        path = os.path.abspath(path)
        if self.image_root is None:
            self.image_root = self._guess_root(path)
        # Not relpath, which is slow: either the path begins with the folder or it is not below it.
        prefix = os.path.join(self.image_root, '')
        name = path[len(prefix) :].replace(os.sep, '/') if path.startswith(prefix) else None
        row = None if name is None else self.store.find(name)
        if row is None:
            raise ValueError(
                f'{self.store.path} holds no proposals of {path} (images below {self.image_root}): '
                'make those of this folder with mmdssl proposals, or set image_root'
            )
        return row

    def _guess_root(self, path: str) -> str:
        """The folder below which the store knows ``path``."""
        parts = Path(path).parts
        for start in range(1, len(parts)):
            if '/'.join(parts[start:]) in self.store:
                return str(Path(*parts[:start]))
        raise ValueError(
            f'{self.store.path} holds no proposals of {path}, neither under its name nor under any '
            'longer end of its path: make those of this folder with mmdssl proposals'
        )

    def __repr__(self) -> str:
        return (
            f'LoadProposals(file={str(self.store.path)!r}, image_root={self.image_root!r}, '
            f'unique={self.unique}, key={self.key!r})'
        )


@TRANSFORMS.register_module()
class SelectiveSearch(BaseTransform):
    """Search the picture here and now, for a quick try: a quarter of a second a COCO photo.

    Required keys: ``img``. Added keys: as `LoadProposals`. For training make the proposals once
    with ``mmdssl proposals``: the same boxes come out. Of images of n channels `false_colours` are
    searched.

    Args:
        producer: 'numba' (segments of scikit-image) or 'opencv', see `ProposalSettings`.
        scale: Scale of the segmentation.
        sigma: Smoothing before it, in pixels.
        min_size: Smallest segment in pixels.
        min_side: Least width and height of a proposal in pixels.
        max_aspect: Largest ratio of its longer to its shorter side.
        size: Range of sqrt(box area) / sqrt(picture area).
        unique: Each box once, in place of as often as the search gave it.
        key: Key of ``results`` to write.

    Raises:
        ValueError: A setting makes no sense.
        ModuleNotFoundError: The producer is not installed.
    """

    def __init__(
        self,
        *,
        producer: Literal['numba', 'opencv'] = 'numba',
        scale: float = 300,
        sigma: float = 0.9,
        min_size: int = 100,
        min_side: float = 32,
        max_aspect: float = 3,
        size: Sequence[float] = (0.3, 0.8),
        unique: bool = False,
        key: str = 'proposals',
    ) -> None:
        low, high = size
        self.settings = ProposalSettings(
            producer=producer,
            scale=scale,
            sigma=sigma,
            min_size=min_size,
            filter=ProposalFilter(min_side=min_side, max_aspect=max_aspect, size=(low, high)),
        )
        self.unique = unique
        self.key = key

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Write the boxes; see the class."""
        image = false_colours(results['img'])
        boxes, counts = counted_boxes(self.settings.propose(image)[0])
        if not self.unique:
            boxes = np.repeat(boxes, counts, axis=0)
        if not len(boxes):
            boxes = whole_image(*image.shape[:2])
        corners = boxes.astype(np.float32)
        corners[:, 2:] += corners[:, :2] - 1
        results[self.key] = corners
        results[ids_key(self.key)] = np.arange(1, len(corners) + 1)
        return results

    def __repr__(self) -> str:
        return f'SelectiveSearch({self.settings}, unique={self.unique}, key={self.key!r})'
