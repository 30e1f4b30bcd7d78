"""A few photos of a folder as tensors of one size, for what looks at whole photos."""

import os
from pathlib import Path

import torch
from torch import Tensor

from mmdssl.core.wording import printable
from mmdssl.datasets.base import evenly_spaced
from mmdssl.datasets.decode import IMAGE_EXTENSIONS, decode_image
from mmdssl.datasets.image_list import list_images
from mmdssl.datasets.transforms.views import resize_image

__all__ = ['load_photos']


def load_photos(folder: Path, number: int, size: int) -> tuple[list[str], list[Tensor]]:
    """Names, and photos (3, size, size) uint8 RGB, evenly spaced over a folder, squashed.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """
    files = list_images(folder, IMAGE_EXTENSIONS, cache=False)
    if not len(files):
        raise FileNotFoundError(f'no image in {folder}')
    paths = [folder / os.fsdecode(files[i]) for i in evenly_spaced(len(files), number)]
    pixels = (resize_image(decode_image(path), (size, size)) for path in paths)
    photos = [torch.from_numpy(one).permute(2, 0, 1).contiguous() for one in pixels]
    return [printable(path.name) for path in paths], photos
