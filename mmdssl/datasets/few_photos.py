"""A few photos of a folder as tensors of one size, for what looks at whole photos."""

from pathlib import Path

import torch
from torch import Tensor

from mmdssl.core.wording import printable
from mmdssl.datasets.base import evenly_spaced
from mmdssl.datasets.channels import CHANNEL_EXTENSIONS, ChannelReader
from mmdssl.datasets.decode import IMAGE_EXTENSIONS, decode_image
from mmdssl.datasets.image_sources import image_source, list_names
from mmdssl.datasets.transforms.views import resize_image

__all__ = ['load_photos']


def load_photos(
    folder: Path, number: int, size: int, reader: ChannelReader | None = None
) -> tuple[list[str], list[Tensor]]:
    """Names, and photos (3, size, size) uint8 RGB, evenly spaced over a folder, squashed.

    Args:
        folder: Of photos, or of shards.
        number: How many.
        size: Their side in pixels.
        reader: Of images of n channels, which are given as it reads them, (n, size, size).

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """
    files = list_names(folder, CHANNEL_EXTENSIONS if reader else IMAGE_EXTENSIONS)
    if not len(files):
        raise FileNotFoundError(f'no image in {folder}')
    chosen = evenly_spaced(len(files), number).tolist()
    sources = (image_source(folder, files[index]) for index in chosen)
    read = reader or decode_image
    pixels = (resize_image(read(source), (size, size)) for source in sources)
    photos = [torch.from_numpy(one).permute(2, 0, 1).contiguous() for one in pixels]
    return [printable(files[index].rpartition(b'/')[2]) for index in chosen], photos
