"""Images with semantic label maps as files: VOC, COCO-Stuff, ADE20K, and scenes.

Label maps are read by the pipeline (:class:`LoadSemanticMap` here, or mmseg's
``LoadAnnotations``); the data set pairs the files and complains before a run, not in the middle
of it, where a map is missing.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from mmengine.logging import print_log

from mmdssl.core.text_files import read_json, read_text
from mmdssl.core.wording import printable
from mmdssl.datasets.base import ImageDataset, evenly_spaced
from mmdssl.datasets.left_out import LeftOut, entry_kind, is_clutter
from mmdssl.registry import DATASETS

__all__ = ['SemanticFolder', 'supercategories']

_SHOWN = 3  # missing files that a message names
_MOST_CLASSES = 255


@DATASETS.register_module()
class SemanticFolder(ImageDataset):
    """Images of one folder with label maps of the same names in another.

    A sample has ``img_path``, ``seg_map_path``, ``sample_idx`` and, for mmseg's
    ``LoadAnnotations``, ``seg_fields`` (empty list), ``reduce_zero_label`` and
    ``label_map`` (from a value in the file to a label, 255 being ignored; None: as they are), and
    ``num_classes``.

    Args:
        classes: Names of the classes in the order of labels, or their number, or a data set of
            mmseg that has them (``'ADE20KDataset'``).
        data_root: Folder that the other paths are relative to.
        data_prefix: ``img_path`` and ``seg_map_path``, the two folders.
        ann_file: File of names without ending, one a line (VOC's ``ImageSets``); '': all images
            of the folder that have the ending, in capitals or not. Hidden files are none.
        recursive: Images of sub-folders too, whose maps lie in sub-folders of the same names
            (Cityscapes).
        img_suffix: Ending of images.
        seg_map_suffix: Ending of label maps.
        reduce_zero_label: Value 0 is no class: it becomes 255 and all others one less (ADE20K).
        category_file: COCO json with ``categories``: values in the maps are their ids, labels
            their super-categories in alphabetical order, see :func:`supercategories`.
        pipeline: Transforms, as configs or callables; without prefix of scope ``mmdssl``.
        share: Share (0, 1] of the images that is used, chosen at random with ``seed``.
        seed: Of that choice.
        max_images: Use only so many of these, evenly spaced. None: all.

    Raises:
        FileNotFoundError: A folder or the list does not exist, no image is found, or an image has
            no label map.
        ValueError: If ``share`` is out of range, or ``category_file`` gives other classes than
            ``classes``.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] | int | str,
        data_root: str | Path = '',
        data_prefix: Mapping[str, str],
        ann_file: str = '',
        recursive: bool = False,
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '.png',
        reduce_zero_label: bool = False,
        category_file: str | None = None,
        pipeline: Sequence[dict | Callable] = (),
        share: float = 1.0,
        seed: int = 0,
        max_images: int | None = None,
        on_bad: Literal['replace', 'raise'] = 'raise',
        max_bad_share: float = 0.05,
        bad_list: str | Path | None = None,
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f'SemanticFolder: share={share} must be above 0 and at most 1')
        self.classes = _names_of(classes)
        if len(self.classes) > _MOST_CLASSES:
            raise ValueError(
                f'SemanticFolder: {len(self.classes)} classes, but label maps are bytes, 0 to 254 '
                'and 255 for ignored pixels: use at most 255 classes'
            )
        self.reduce_zero_label = reduce_zero_label
        self.label_map: dict[int, int] | None = None
        if category_file is not None:
            names, self.label_map = supercategories(os.path.join(data_root, category_file))
            if names != self.classes:
                raise ValueError(
                    f'{category_file} has the super-categories {", ".join(names)}, but the config '
                    f'names the classes {", ".join(self.classes)}: correct one of them'
                )
        self._images = os.path.join(data_root, data_prefix['img_path'])
        self._maps = os.path.join(data_root, data_prefix['seg_map_path'])
        self._endings = img_suffix, seg_map_suffix
        self._recursive = recursive
        self._own_endings: dict[str, str] = {}  # of images that have it in capitals
        names = self._names(os.path.join(data_root, ann_file) if ann_file else '')
        count = max(1, round(share * len(names)))
        chosen: npt.NDArray[np.int64] = np.arange(len(names))
        if count < len(names):
            chosen = np.sort(np.random.default_rng(seed).permutation(len(names))[:count])
        chosen = chosen[evenly_spaced(len(chosen), max_images)]
        self._chosen = tuple(names[index] for index in chosen)
        self._check()
        super().__init__(
            total=len(self._chosen),
            pipeline=pipeline,
            on_bad=on_bad,
            max_bad_share=max_bad_share,
            bad_list=bad_list,
        )

    @property
    def metainfo(self) -> dict[str, Any]:
        """``classes``, ``palette`` (a colour a class), ``reduce_zero_label``, ``label_map``."""
        palette = np.random.default_rng(0).integers(0, 255, (len(self.classes), 3)).tolist()
        return dict(
            classes=self.classes,
            palette=palette,
            reduce_zero_label=self.reduce_zero_label,
            label_map=self.label_map,
        )

    def get_data_info(self, index: int) -> dict[str, Any]:
        """The results dict of image ``index``; see the class."""
        index %= len(self)
        image, label = self._paths(self._chosen[index])
        return dict(
            img_path=image,
            seg_map_path=label,
            sample_idx=index,
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            num_classes=len(self.classes),
            seg_fields=[],
        )

    def _paths(self, name: str) -> tuple[str, str]:
        image, label = self._own_endings.get(name, self._endings[0]), self._endings[1]
        return os.path.join(self._images, name + image), os.path.join(self._maps, name + label)

    def _names(self, list_file: str) -> tuple[str, ...]:
        """Names without ending, sorted unless a list gives the order."""
        for folder, what in ((self._images, 'images'), (self._maps, 'label maps')):
            if not os.path.isdir(folder):
                raise FileNotFoundError(
                    f'there is no folder {folder} of {what}: unpack the annotations of the data '
                    'set there, or correct data_root and data_prefix'
                )
        if list_file:
            if not os.path.exists(list_file):
                raise FileNotFoundError(
                    f'there is no list of images {list_file}: check data_root and ann_file'
                )
            lines = read_text(list_file).splitlines()
            names = tuple(line.strip() for line in lines if line.strip())
        else:
            names = self._listed_images()
        if not names:
            raise FileNotFoundError(
                f'no image named *{self._endings[0]} in {list_file or self._images}: check '
                'data_prefix and img_suffix'
            )
        return names

    def _listed_images(self) -> tuple[str, ...]:
        """Names of the images in the folder, whatever the case of their ending."""
        ending = self._endings[0].lower()
        # The names of the endings in capitals stay with the image: its map has its own ending.
        found: dict[str, str] = {}
        left_out = LeftOut()
        root = os.fsencode(self._images)
        entries = list(os.scandir(root))
        for entry in entries:
            if is_clutter(entry.name):
                continue
            name = os.fsdecode(os.path.relpath(entry.path, root))
            kind = entry_kind(entry)
            if kind == 'folder' and self._recursive:
                entries += os.scandir(entry.path)  # looked at in its turn
            if not name.lower().endswith(ending):
                if kind == 'file':
                    left_out.other_ending(entry.name, [os.fsencode(ending)])
            elif kind == 'file':
                stem, own = name[: -len(ending)], name[len(name) - len(ending) :]
                if stem in found:
                    raise ValueError(
                        f'{printable(self._images)} holds {printable(stem + found[stem])} and '
                        f'{printable(name)}, which would share a label map: rename one'
                    )
                found[stem] = own
            elif kind != 'folder':
                left_out.special(entry.name, kind)
        self._own_endings = {s: own for s, own in found.items() if own != self._endings[0]}
        if left_out:
            print_log(
                f'{len(found)} images found in {printable(self._images)}; '
                f'{left_out.sentence("img_suffix")}',
                'current',
                logging.WARNING,
            )
        return tuple(sorted(found))

    def _check(self) -> None:
        """Every chosen image has its two files."""
        present = [set(os.listdir(folder)) for folder in (self._images, self._maps)]
        for side, (files, ending) in enumerate(zip(present, self._endings, strict=True)):
            # Names of a list may lead into sub-folders, which are not in the listing.
            lost = [
                name
                for name in self._chosen
                if name + ending not in files and not os.path.exists(self._paths(name)[side])
            ]
            if lost:
                raise FileNotFoundError(
                    f'{len(lost)} of {len(self._chosen)} images have no '
                    f'{("image file", "label map")[side]} in {(self._images, self._maps)[side]} '
                    f'(the first: {", ".join(name + ending for name in lost[:_SHOWN])}): download '
                    'the annotations of this split completely, or take the images out of the list'
                )


def _names_of(classes: Sequence[str] | int | str) -> tuple[str, ...]:
    if isinstance(classes, int):
        return tuple(str(label) for label in range(classes))
    if not isinstance(classes, str):
        return tuple(classes)
    from mmseg import datasets  # heavy, and optional for whoever names the classes

    known = getattr(datasets, classes, None)
    if known is None:
        raise ValueError(
            f'SemanticFolder: mmseg has no data set {classes!r} to take the classes from; name '
            'the classes in a list'
        )
    return tuple(known.METAINFO['classes'])


def supercategories(path: str | Path) -> tuple[tuple[str, ...], dict[int, int]]:
    """Labels of COCO-Stuff as Leopart has them: super-categories, of things and "other" none.

    Args:
        path: COCO json with ``categories`` (``stuff_val2017.json``).

    Returns:
        Names in alphabetical order, 'other' left out, and the label (or 255) of every value 0..255
        that a map may hold; 255 also for values that are no category's id (0: things).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It lists no categories with super-categories.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'there is no {path}, which names the categories of the label maps: it comes with the '
            "data set's annotations (COCO: stuff_annotations_trainval2017.zip)"
        )
    content = read_json(path)
    try:
        categories = content['categories']
        groups = {int(entry['id']): str(entry['supercategory']) for entry in categories}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is no COCO json with super-categories: {error!r}') from error
    names = tuple(sorted(set(groups.values()) - {'other'}))
    labels = {name: label for label, name in enumerate(names)}
    return names, {value: labels.get(groups.get(value, ''), 255) for value in range(256)}
