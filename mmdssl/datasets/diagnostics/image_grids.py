"""The same picture nine times in one image: what differs between its features is the place.

D3SSL, Sec. 3.2 and Fig. 4a. A network with stride s sees two copies alike only if their distance
is a multiple of s: otherwise even one without padding samples them at different phases. So the
side of a cell is a multiple of the stride, 224 px on a 672 px canvas by default.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from mmdssl.datasets.channels import CHANNEL_EXTENSIONS
from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_list import list_images
from mmdssl.datasets.transforms.loading import LoadImage
from mmdssl.datasets.transforms.views import resize_image
from mmdssl.registry import DATASETS

__all__ = ['ImageGrids']


@DATASETS.register_module()
class ImageGrids(Dataset):
    """Pictures of a folder, each squashed to a square and repeated in a grid.

    A sample is ``inputs`` (1, 3, grid * cell, grid * cell) uint8 RGB and ``data_samples`` with
    ``diagnostic_boxes`` (1, grid**2, 4), the cells in reading order, as
    :class:`DiagnosticExtractor` reads them; its meta information holds ``img_path``. Which pictures
    is a function of the seed and the sorted list of files alone. Collate with ``default_collate``.

    Args:
        data_root: Folder of images; its sub-folders are searched too.
        num: Number of pictures, drawn without repetition.
        seed: Seed of the choice.
        cell: Side of a cell in pixels.
        stride: Stride of the deepest layer measured, in pixels: 32 for a ResNet's C5, the patch
            size for a transformer. None: cells of any size, whose phases then differ.
        grid: Cells a side, odd, so that there is one in the centre.
        margin: Pixels that the boxes stay inside their cells, e.g. to keep away from the cells
            of the map that no padding-free network can fill.
        cache: Keep the list of files for the next run, as :class:`ImageFolder` does.
        load: Settings of `LoadImage`, for images of n channels; None: photos.

    Raises:
        ValueError: If an argument is not as said, ``cell`` is no multiple of ``stride``, or there
            are fewer pictures than ``num``.
        FileNotFoundError: If there is no such folder.
        ImageDecodeError: On reading, if a picture cannot be read.
    """

    def __init__(
        self,
        *,
        data_root: str | Path,
        num: int = 100,
        seed: int = 0,
        cell: int = 224,
        stride: int | None = 32,
        grid: int = 3,
        margin: int = 0,
        cache: bool | str | Path = True,
        load: Mapping[str, Any] | None = None,
    ) -> None:
        if num < 1 or cell < 1:
            raise ValueError(f'ImageGrids: num={num} and cell={cell} must be at least 1')
        if grid < 3 or grid % 2 == 0:
            raise ValueError(f'ImageGrids: grid={grid} must be odd and at least 3')
        if not 0 <= margin < cell / 2:
            raise ValueError(f'ImageGrids: margin={margin} must be in [0, cell / 2)')
        if stride is not None and (stride < 1 or cell % stride):
            raise ValueError(
                f'ImageGrids: cell={cell} is no multiple of stride={stride}, so that copies would '
                'fall on different phases of the network; choose another cell, or stride=None to '
                'measure nevertheless'
            )
        self.data_root = str(data_root)
        endings = CHANNEL_EXTENSIONS if load else IMAGE_EXTENSIONS
        paths = list_images(self.data_root, endings, cache)
        self._read = LoadImage(**(load or {}))
        if len(paths) < num:
            raise ValueError(
                f'ImageGrids: {self.data_root} holds {len(paths)} images, not the num={num} asked '
                'for: lower num or name another data_root'
            )
        chosen = np.random.default_rng(seed).choice(len(paths), num, replace=False)
        self._paths = paths.take(np.sort(chosen))
        self.seed, self.cell, self.stride, self.grid, self.margin = seed, cell, stride, grid, margin

    @property
    def metainfo(self) -> dict[str, Any]:
        """``data_root`` and ``selection``: rule, seed and sizes, plain values."""
        selection = dict(
            diagnostic=type(self).__name__,
            seed=self.seed,
            num=len(self),
            cell=self.cell,
            stride=self.stride,
            grid=self.grid,
            margin=self.margin,
        )
        return dict(data_root=self.data_root, selection=selection)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The canvas and the boxes of its cells; see the class."""
        if not 0 <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} pictures')
        path = Path(self.data_root, self._paths[index].decode(errors='surrogateescape'))
        image = self._read(dict(img_path=str(path)))['img']
        picture = resize_image(image, (self.cell, self.cell))  # (cell, cell, 3)
        canvas = torch.from_numpy(picture).permute(2, 0, 1).repeat(1, self.grid, self.grid)
        edges = torch.arange(self.grid, dtype=torch.float32) * self.cell
        top, left = torch.meshgrid(edges, edges, indexing='ij')
        near = torch.stack([left, top], dim=-1).flatten(0, 1)  # (grid**2, 2): x, y
        boxes = torch.cat([near + self.margin, near + self.cell - self.margin], dim=1)
        sample = BaseDataElement(
            diagnostic_boxes=boxes[None], metainfo=dict(sample_idx=index, img_path=str(path))
        )
        return dict(inputs=canvas[None].contiguous(), data_samples=sample)
