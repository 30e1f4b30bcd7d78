"""The photos of a card: chosen once, looked at once, the same for every network.

What cannot be read is left out here and named, so that no measure ends on it. The choice lies in a
folder as two small COCO files beside a few copied photos; whoever asks for the same one gets it.
"""

import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from rich.console import Console
from rich.progress import track

from mmdssl.core.checkpointing import atomic_text
from mmdssl.core.text_files import read_json
from mmdssl.core.wording import listed, printable
from mmdssl.datasets.base import evenly_spaced
from mmdssl.datasets.channels import CHANNEL_EXTENSIONS, ChannelReader
from mmdssl.datasets.coco_file import parse_coco
from mmdssl.datasets.decode import IMAGE_EXTENSIONS, decode_image
from mmdssl.datasets.image_header import ImageDecodeError
from mmdssl.datasets.image_list import list_images

__all__ = ['CardData', 'choose_data']

_PHOTOS = 16  # for what looks at whole photos: position and local consistency
_FACTS = 'chosen.json'


@dataclass(frozen=True)
class CardData:
    """Chosen photos.

    Attributes:
        bank: COCO file of the photos whose labels are known.
        query: The same of those that are asked about.
        bank_images: Folder that the names of ``bank`` belong to.
        query_images: Folder that those of ``query`` belong to.
        photos: Folder with copies of a few photos.
        outlines: Whether all objects have outlines.
        facts: What was chosen of what, plain values.
    """

    bank: Path
    query: Path
    bank_images: Path
    query_images: Path
    photos: Path
    outlines: bool
    facts: dict[str, Any]


def choose_data(
    data: Path,
    out: Path,
    *,
    num: int,
    ann_files: Sequence[str] | None = None,
    image_dirs: Sequence[str] | None = None,
    photos: Path | None = None,
    reader: ChannelReader | None = None,
) -> CardData:
    """Choose photos, evenly spaced over those with objects, and leave out what cannot be read.

    Args:
        data: Folder in COCO's layout, ``annotations/instances_train*.json`` beside ``train*/``, and
            ``val`` likewise.
        out: Folder for the choice.
        num: Photos of each side.
        ann_files: Bank and query in place of what the layout says, relative to ``data``.
        image_dirs: Their folders.
        photos: Folder of photos without labels for position and local consistency; None: of the
            queries.
        reader: Of images of n channels; None: photos.

    Raises:
        FileNotFoundError: If a file or folder is missing.
        ValueError: If the layout is another one, or no photo is left.
    """
    files = _sides(data, ann_files, image_dirs)
    names = ('bank', 'query')
    stamps = [[str(f.resolve()), f.stat().st_mtime_ns, str(d.resolve())] for f, d in files]
    place = str((photos or files[1][1]).resolve())
    asked = dict(files=stamps, num=num, photos=place)
    if reader is not None:
        asked['channels'] = reader.channels
    read = reader or decode_image
    chosen = [out / f'{name}.json' for name in names]
    kept = out / _FACTS
    known = read_json(kept) if kept.is_file() else {}
    if known.get('asked') != asked:
        facts: dict[str, Any] = dict(folder=data.name)
        outlines = True
        for name, (file, folder), target in zip(names, files, chosen, strict=True):
            own, with_outlines = _write_part(file, folder, target, num, name, read)
            facts[name], outlines = own, outlines and with_outlines
        endings = IMAGE_EXTENSIONS if reader is None else CHANNEL_EXTENSIONS
        paths = _photo_files(photos, files[1][1], chosen[1], endings)
        facts['photos'] = _copy_photos(paths, out / 'photos', read)
        known = dict(asked=asked, facts=facts, outlines=outlines)
        atomic_text(json.dumps(known, indent=1) + '\n', kept)
    return CardData(
        bank=chosen[0],
        query=chosen[1],
        bank_images=files[0][1],
        query_images=files[1][1],
        photos=out / 'photos',
        outlines=known['outlines'],
        facts=known['facts'],
    )


def _sides(
    data: Path, ann_files: Sequence[str] | None, image_dirs: Sequence[str] | None
) -> list[tuple[Path, Path]]:
    """Annotation file and folder of images, of the bank and of the queries."""
    if not data.is_dir():
        raise FileNotFoundError(f"there is no folder {data}: --data is a folder in COCO's layout")
    found = [data / one for one in ann_files] if ann_files else []
    for word in ('train', 'val') if not found else ():
        fitting = sorted((data / 'annotations').glob(f'instances_*{word}*.json'))
        if len(fitting) != 1:
            seen = listed([path.name for path in fitting]) or 'none'
            raise ValueError(
                f"{data} is not in COCO's layout: annotations/instances_{word}*.json should be one "
                f'file, and there is {seen}; name bank and query by --ann-file and --image-dir'
            )
        found += fitting
    folders = [
        data / (image_dirs[n] if image_dirs else file.stem.removeprefix('instances_'))
        for n, file in enumerate(found)
    ]
    for path, what in (*((p, 'annotation file') for p in found), *((p, 'folder') for p in folders)):
        if not path.exists():
            raise FileNotFoundError(
                f'there is no {what} {path}: correct --data, or name both by '
                '--ann-file and --image-dir'
            )
    if found[0].resolve() == found[1].resolve():
        raise ValueError(
            f'bank and queries are both {found[0]}: every object would find itself; name two files'
        )
    return list(zip(found, folders, strict=True))


def _write_part(
    file: Path, folder: Path, target: Path, num: int, side: str, read: Callable[[Path], Any]
) -> tuple[dict[str, Any], bool]:
    """A COCO file of ``num`` readable photos with objects; what it holds, and all outlines?"""
    content = read_json(file)
    parsed = parse_coco(str(file), content)  # refuses what is no COCO file
    used = np.unique(parsed.owner)
    if not len(used):
        raise ValueError(f'{printable(str(file))} has no image with an object: nothing to measure')
    used = used[evenly_spaced(len(used), num)]
    bad: list[str] = []
    readable = []
    console = Console(stderr=True)
    for index in track(
        used, f'photos of {side}', console=console, disable=not console.is_terminal, transient=True
    ):
        try:
            read(folder / parsed.names[index])
        except (ImageDecodeError, OSError) as error:
            reason = getattr(error, 'reason', '') or type(error).__name__
            bad.append(f'{printable(parsed.names[index])} ({reason})')
        else:
            readable.append(index)
    if bad:
        print_log(
            f'{len(bad)} of {len(used)} photos of {side} cannot be read and are left out: '
            f'{listed(bad, 3)}',
            'current',
            logging.WARNING,
        )
    if not readable:
        raise ValueError(
            f'none of {len(used)} photos of {printable(str(file))} can be read in '
            f'{printable(str(folder))}: correct --image-dir'
        )
    ids = {parsed.ids[index] for index in readable}
    images = [one for one in content['images'] if one['id'] in ids]
    objects = [one for one in content['annotations'] if one['image_id'] in ids]
    part = dict(images=images, annotations=objects, categories=content['categories'])
    text = json.dumps(part)
    atomic_text(text, target)
    whole = [one for one in objects if not one.get('iscrowd')]
    facts = dict(
        file=file.name, images=len(images), objects=len(whole), of_images=len(parsed.names),
        left_out=bad, crc=zlib.crc32(text.encode()),
    )  # fmt: skip
    return facts, all(one.get('segmentation') for one in whole)


def _photo_files(
    photos: Path | None, images: Path, query: Path, endings: Sequence[str]
) -> list[Path]:
    if photos is None:
        return [images / one['file_name'] for one in read_json(query)['images']]
    names = list_images(photos, endings, cache=False)
    return [photos / os.fsdecode(name) for name in names]


def _copy_photos(files: list[Path], folder: Path, read: Callable[[Path], Any]) -> dict[str, Any]:
    """Copy a few readable photos, evenly spaced; what they are."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    names: list[str] = []
    spread = evenly_spaced(len(files), 2 * _PHOTOS)
    for index in (*spread[::2], *spread[1::2]):  # the second half where some are unreadable
        try:
            read(files[index])
        except (ImageDecodeError, OSError):
            continue
        copy = folder / f'{len(names):02d}{files[index].suffix.lower()}'
        shutil.copyfile(files[index], copy)
        names.append(printable(files[index].name))
        if len(names) == _PHOTOS:
            break
    if not names:
        raise ValueError(f'none of {len(files)} photos can be read: correct --photos')
    return dict(copied=len(names), of=len(files), names=names)
