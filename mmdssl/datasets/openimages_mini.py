"""OpenImage-MINI: a part of Open Images with no more of COCO's objects than COCO itself.

D3SSL, Sec. 5.1: images are chosen such that

1. at least one object of each is of a class that COCO has as well (a shared class), and
2. of no shared class the choice holds more objects than COCO.

The authors' list is not public, and the rule leaves open in which order images are looked at, so
this gives *a* set by their rule, not theirs. Here: in random order, an image is taken if no count
then exceeds COCO's. Counts only grow, so what was refused once stays refused: one pass leaves no
image that could still be added.

Every annotated box is one object, on both sides, groups (``IsGroupOf``) and crowds (``iscrowd``)
included, or on both sides not.

Which classes are shared is not stated in the paper either. Here: those of equal name, and those
of :data:`SHARED_CLASSES`. Kinds of a class (``Duck`` of bird) count as classes that COCO lacks,
people excepted: Open Images calls them man, woman, boy or girl wherever it can tell.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from mmdssl.core.text_files import read_json
from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_list import list_images
from mmdssl.datasets.openimages_boxes import ImageCounts

__all__ = [
    'PUBLISHED',
    'SHARED_CLASSES',
    'coco_class_counts',
    'describe',
    'link_images',
    'match_classes',
    'select_images',
]

#: Open Images' names of COCO's classes where they differ. Goes before equality of names: what
#: Open Images calls "Mouse" is the animal.
SHARED_CLASSES: dict[str, tuple[str, ...]] = {
    'person': ('Person', 'Man', 'Woman', 'Boy', 'Girl'),
    'cow': ('Cattle',),
    'frisbee': ('Flying disc',),
    'skis': ('Ski',),
    'sports ball': (
        'Ball',
        'Football',
        'Tennis ball',
        'Volleyball (Ball)',
        'Cricket ball',
        'Golf ball',
        'Rugby ball',
    ),
    'cup': ('Coffee cup', 'Mug'),
    'donut': ('Doughnut',),
    'potted plant': ('Houseplant',),
    'dining table': ('Kitchen & dining room table',),
    'tv': ('Television', 'Computer monitor'),
    'mouse': ('Computer mouse',),
    'remote': ('Remote control',),
    'keyboard': ('Computer keyboard',),
    'cell phone': ('Mobile phone',),
    'microwave': ('Microwave oven',),
    'hair drier': ('Hair dryer',),
}

#: D3SSL, Table 2.
PUBLISHED = {
    'images': 146_000,
    'objects_per_image': 9.1,
    'categories': 569,
    'categories_per_image': 3.20,
}


def coco_class_counts(path: str | Path, *, groups: bool = True) -> dict[str, int]:
    """Objects of each class in a COCO json file.

    Args:
        path: E.g. ``annotations/instances_train2017.json``.
        groups: Count crowds as one object, or not at all.

    Returns:
        Counts by class name, in the order of category ids; 0 for classes without objects.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no COCO file with instances.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no COCO annotation file {path}')
    content = read_json(path)
    try:
        names = {entry['id']: entry['name'] for entry in content['categories']}
        found = Counter(
            entry['category_id']
            for entry in content['annotations']
            if groups or not entry.get('iscrowd', 0)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path} is no COCO annotation file with categories and annotations ({error!r}); give '
            'instances_train2017.json'
        ) from error
    return {names[key]: found[key] for key in sorted(names)}


def match_classes(
    coco: Sequence[str],
    openimages: Sequence[str],
    table: Mapping[str, Sequence[str]] = SHARED_CLASSES,
) -> npt.NDArray[np.int64]:
    """Which class of COCO a class of Open Images is.

    Args:
        coco: Class names of COCO.
        openimages: Class names of Open Images.
        table: Open Images' names by COCO's name, for classes where equal names (in any case)
            are not what is meant. Names that ``openimages`` lacks are left out.

    Returns:
        (len(openimages),) index in ``coco``, or -1 for classes that are not shared.

    Raises:
        ValueError: No class is shared, or one of Open Images belongs to two of COCO.
    """
    place = {name.lower(): index for index, name in enumerate(openimages)}
    shared = np.full(len(openimages), -1, np.int64)
    for index, name in enumerate(coco):
        for other in table.get(name, (name,)):
            found = place.get(other.lower())
            if found is None:
                continue
            if shared[found] >= 0:
                raise ValueError(
                    f'class {other!r} of Open Images belongs to two classes of COCO, '
                    f'{coco[shared[found]]!r} and {name!r}: change the table of shared classes'
                )
            shared[found] = index
    if (shared < 0).all():
        raise ValueError('Open Images and COCO share no class: check both files of class names')
    return shared


def select_images(
    counts: ImageCounts,
    shared: npt.NDArray[np.int64],
    limits: npt.NDArray[np.int64],
    *,
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Choose images by the rule of D3SSL, Sec. 5.1.

    Args:
        counts: Objects of every image.
        shared: (C,) class of COCO of each class of Open Images, or -1, see
            :func:`match_classes`.
        limits: (S,) objects of each class in COCO.
        seed: Of the order in which images are looked at. The order of rows in the box file has
            no influence.

    Returns:
        (n,) int64 indices of the chosen images, rising.

    Raises:
        ValueError: No image has an object of a shared class.
    """
    image = np.repeat(np.arange(len(counts)), np.diff(counts.offsets))
    of_shared = shared[counts.classes] >= 0
    if not of_shared.any():
        raise ValueError('no image has an object of a class that COCO has as well')
    # Man and woman of an image are entries of two classes there, of one here.
    known = ImageCounts.from_entries(
        counts.ids,
        image[of_shared],
        shared[counts.classes[of_shared]].astype(np.int32),
        counts.counts[of_shared],
    )
    candidates = np.flatnonzero(np.diff(known.offsets))
    left = np.array(limits, dtype=np.int64)
    chosen = []
    order = np.random.default_rng(seed).permutation(candidates)
    for index in track(order.tolist(), 'choosing images', transient=True):
        entries = slice(known.offsets[index], known.offsets[index + 1])
        classes, wanted = known.classes[entries], known.counts[entries]
        if (wanted <= left[classes]).all():
            left[classes] -= wanted
            chosen.append(index)
    return np.array(sorted(chosen), dtype=np.int64)


def describe(
    counts: ImageCounts,
    chosen: npt.NDArray[np.int64],
    openimages: Sequence[str],
    shared: npt.NDArray[np.int64],
    coco: Mapping[str, int],
) -> dict[str, Any]:
    """What a choice holds, beside the published numbers.

    Args:
        counts: Objects of every image.
        chosen: (n,) indices of the chosen images.
        openimages: Class names of Open Images.
        shared: (C,) see :func:`match_classes`.
        coco: Objects of each class in COCO.

    Returns:
        Plain data for a JSON file: ``images``, ``objects_per_image``, ``categories``,
        ``categories_per_image``, ``published`` with the same names, ``shared_classes`` with the
        counts on both sides, and ``coco_classes_not_shared``.
    """
    taken = np.zeros(len(counts), bool)
    taken[chosen] = True
    of_taken = np.repeat(taken, np.diff(counts.offsets))
    per_class = np.bincount(
        counts.classes[of_taken], weights=counts.counts[of_taken], minlength=len(openimages)
    ).astype(np.int64)
    images = len(chosen)
    classes = {}
    for index, (name, limit) in enumerate(coco.items()):
        own = np.flatnonzero(shared == index)
        if len(own):
            classes[name] = dict(
                open_images=[openimages[i] for i in own],
                objects=int(per_class[own].sum()),
                objects_in_coco=int(limit),
            )
    return dict(
        images=images,
        objects=int(per_class.sum()),
        objects_per_image=round(float(per_class.sum()) / max(images, 1), 3),
        categories=int((per_class > 0).sum()),
        categories_per_image=round(float(of_taken.sum()) / max(images, 1), 3),
        published={**PUBLISHED, 'source': "D3SSL, Table 2 (the authors' own list)"},
        shared_classes=classes,
        coco_classes_not_shared=[name for name in coco if name not in classes],
    )


def link_images(
    ids: Sequence[str], images: str | Path, folder: str | Path
) -> tuple[int, list[str]]:
    """Make a folder of links to the chosen images, for ``ImageFolder(data_root=folder)``.

    Args:
        ids: Image ids, the file names without ending.
        images: Folder that holds the images, in sub-folders or not.
        folder: Where the links go, ``<folder>/<id>.jpg``. Links of an earlier, different choice
            are removed; anything else in it is an error.

    Returns:
        Number of links, and the ids of which ``images`` holds no file.

    Raises:
        FileNotFoundError: There is no folder ``images``.
        FileExistsError: ``folder`` holds a file that is no link.
    """
    wanted = set(ids)
    found: dict[str, str] = {}
    for path in list_images(images, IMAGE_EXTENSIONS, cache=False):
        relative = os.fsdecode(path)
        stem = Path(relative).stem
        if stem in wanted:
            found.setdefault(stem, relative)
    folder, root = Path(folder), Path(images).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    foreign = [entry.name for entry in os.scandir(folder) if not entry.is_symlink()]
    if foreign:
        raise FileExistsError(
            f'{folder} holds {foreign[0]!r}, which is no link: give an empty folder for the links'
        )
    for entry in list(os.scandir(folder)):
        os.unlink(entry.path)
    for relative in found.values():
        os.symlink(root / relative, folder / Path(relative).name)
    return len(found), sorted(wanted - found.keys())
