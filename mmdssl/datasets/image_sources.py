"""Images below a place, whichever way they lie there: one by one in a folder, or in shards."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_header import Source
from mmdssl.datasets.image_list import ByteStrings, list_images
from mmdssl.datasets.shards.index import is_shards, shards_at

__all__ = ['image_source', 'list_names']


def list_names(
    root: str | Path,
    extensions: Sequence[str] = IMAGE_EXTENSIONS,
    cache: bool | str | Path = False,
) -> ByteStrings:
    """Paths of the images relative to their folder, in the order of the data sets.

    Args:
        root: A folder of images, or one of shards.
        extensions: See `list_images`, also for ``cache`` and what is raised; of shards all count.
    """
    return shards_at(root).names if is_shards(root) else list_images(root, extensions, cache)


def image_source(root: str | Path, name: bytes) -> Source:
    """What `decode_image` reads an image from; one that is not there is found out by reading.

    Args:
        root: As for `list_names`.
        name: Of the image in the list.
    """
    if is_shards(root):
        index = shards_at(root)
        number = index.find(name)
        if number is not None:
            return index.image(number)
    return os.path.join(root, os.fsdecode(name))
