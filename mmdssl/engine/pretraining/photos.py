"""What a folder of images holds, as far as a run depends on it."""

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from mmdssl.datasets.base import evenly_spaced
from mmdssl.datasets.channels import CHANNEL_EXTENSIONS, samples_shape
from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_header import is_deep, picture_shape
from mmdssl.datasets.image_sources import image_source, list_names

__all__ = ['Labelled', 'Photos', 'find_labelled', 'look_at', 'training_part']

_LOOKED_AT = 64


@dataclass(frozen=True)
class Photos:
    """A folder of images.

    Attributes:
        folder: Where they are, searched with its sub-folders; of shards also an address.
        count: Images of the run.
        side: Median of the shorter sides in pixels, of some of them; 0 where none can be read.
        deep: Share of these, 0..1, that have more than 8 bits and are read as photos of 8.
    """

    folder: Path | str
    count: int
    side: int
    deep: float = 0.0


@dataclass(frozen=True)
class Labelled:
    """Images with boxes in the layout of COCO.

    Attributes:
        folder: With ``annotations`` and the folders of the images.
        bank: Annotations and images that vote.
        query: Annotations and images that ask.
    """

    folder: Path
    bank: dict[str, str]
    query: dict[str, str]


def look_at(
    folder: Path | str, max_images: int | None = None, channels: int | None = None
) -> Photos:
    """Count the images of a folder and read the sizes of some.

    Args:
        folder: Of the images.
        max_images: Most images that are taken.
        channels: Of the images; None: photos.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """
    endings = IMAGE_EXTENSIONS if channels is None else CHANNEL_EXTENSIONS
    files = list_names(folder, endings, cache=True)
    if not len(files):
        raise FileNotFoundError(f'data={folder}: no image in it or its sub-folders')
    chosen = evenly_spaced(len(files), min(_LOOKED_AT, len(files))).tolist()
    sources = [image_source(folder, files[index]) for index in chosen]
    shapes = [
        picture_shape(one) if channels is None else samples_shape(one, channels) for one in sources
    ]
    sides = [min(shape) for shape in shapes if shape]
    count = min(len(files), max_images or len(files))
    deep = 0
    if channels is None:
        deep = sum(map(is_deep, sources))
    side = int(statistics.median(sides)) if sides else 0
    return Photos(folder, count, side, deep / len(chosen))


def training_part(folder: Path) -> Path | None:
    """The folder of training images of a data set with annotations; None where there is none."""
    found = find_labelled(folder)
    return folder / found.bank['data_prefix'] if found else None


def find_labelled(folder: Path) -> Labelled | None:
    """Annotations of training and validation images, of the same year; None without both."""
    for bank in sorted(folder.glob('annotations/instances_train*.json')):
        ending = re.sub(r'^instances_train', '', bank.stem)
        query = bank.with_name(f'instances_val{ending}.json')
        if query.is_file() and (folder / f'train{ending}').is_dir():
            return Labelled(
                folder,
                bank=dict(ann_file=f'annotations/{bank.name}', data_prefix=f'train{ending}/'),
                query=dict(ann_file=f'annotations/{query.name}', data_prefix=f'val{ending}/'),
            )
    return None
