"""A COCO file against its photos: missing ones, turned ones, and what is left out, said at once."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt
from mmengine.logging import print_log

from mmdssl.core.wording import listed, printable
from mmdssl.datasets.coco_file import CocoFile
from mmdssl.datasets.image_header import picture_shape

__all__ = [
    'check_files',
    'check_orientation',
    'leaves_missing_out',
    'missing_left_out',
    'tell_left_out',
]

_SHOWN = 3
# As many missing photos are passed over where some may be, as of unreadable ones (`BadImages`).
_TOLERATED_SHARE, _TOLERATED = 0.05, 10
_left_out: ContextVar[bool] = ContextVar('missing_left_out', default=False)
# Pixels by which boxes of careful people leave the picture: rounding.
_ROUNDING = 2.0
_LOOKED_AT = 200  # photos whose headers are read to find out about their orientation


@contextmanager
def missing_left_out() -> Iterator[None]:
    """Data sets built inside pass over a few photos that are not there, with a warning.

    For data that a training is measured on beside it: the training itself needs none of them, and
    must not end hours later, or be kept from going on, for a photo that somebody has moved.
    Whoever measures a backbone and nothing else sees every photo or an error.
    """
    before = _left_out.set(True)
    try:
        yield
    finally:
        _left_out.reset(before)


def leaves_missing_out() -> bool:
    """Whether this is inside :func:`missing_left_out`."""
    return _left_out.get()


def check_files(ann_file: str, folder: str, names: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """Which images of a list are there: what one listing of each folder shows.

    Returns:
        (len(names),) bool; some are False only inside :func:`missing_left_out`, and no more than
        unreadable ones may be: 5 % of them, or ten.

    Raises:
        FileNotFoundError: Images are missing, all of them counted.
    """
    base = os.fsencode(folder)
    listings: dict[bytes, set[bytes]] = {}
    there = np.ones(len(names), bool)
    for number, name in enumerate(names):
        head, tail = os.path.split(name)
        if head not in listings:
            try:
                listings[head] = set(os.listdir(os.path.join(base, head) or b'.'))
            except OSError:
                listings[head] = set()
        there[number] = tail in listings[head] or os.path.exists(os.path.join(base, name))
    missing = [names[number] for number in np.flatnonzero(~there)]
    if not missing:
        return there
    where = printable(os.path.join(base, missing[0]))
    rest = ', '.join(printable(name) for name in missing[1 : _SHOWN + 1])
    said = (
        f'{len(missing)} of {len(names)} images named in {printable(ann_file)} do not exist, '
        f'the first {where}{f" (then {rest})" if rest else ""}: '
    )
    few = len(missing) <= max(_TOLERATED_SHARE * len(names), _TOLERATED) and there.any()
    if few and leaves_missing_out():
        print_log(
            f'{said}left out of what is measured during the training, whose numbers are of the '
            'other images',
            'current',
            logging.WARNING,
        )
        return there
    if b'\\' in missing[0]:
        remedy = 'write folders with / in file_name'
    elif not there.any():
        remedy = 'check data_root and data_prefix'
    else:
        remedy = 'copy them there, or take them out of the annotation file'
    raise FileNotFoundError(said + remedy)


def check_orientation(
    content: CocoFile, boxes: npt.NDArray[np.float64], limits: npt.NDArray[np.int64], folder: str
) -> None:
    """Refuse a size that is of the stored picture while boxes are of the turned one.

    A phone stores a picture lying and a note to turn it. Some programs state the stored size and
    let people draw on the turned picture: such boxes leave the stated size and fit the other.

    Args:
        content: The file.
        boxes: (N, 4), x1 y1 x2 y2 as in the file.
        limits: (N, 2), stated width and height of each object's image.
        folder: Of the images.

    Raises:
        ValueError: A photo whose header says that it is to be turned has such boxes.
    """
    leaves = (boxes[:, 2:] > limits + _ROUNDING).any(axis=1)
    fits = (boxes[:, 2:] <= limits[:, ::-1] + _ROUNDING).all(axis=1)
    for number in np.flatnonzero(leaves & fits)[:_LOOKED_AT]:
        index = int(content.owner[number])
        path = os.path.join(folder, content.names[index])
        stated = tuple(content.shapes[index].tolist())
        stored, shown = picture_shape(path, exif=False), picture_shape(path)
        if stored == stated and shown == stated[::-1]:
            raise ValueError(
                f'{content.where(int(number))} has a box of the turned picture, but the stated '
                f'height x width {stated[0]} x {stated[1]} of {printable(content.names[index])} '
                'is that of the stored one (its EXIF entry turns it): exchange height and width in '
                'the annotation file'
            )


def tell_left_out(
    content: CocoFile,
    boxes: npt.NDArray[np.float64],
    large: npt.NDArray[np.bool_],
    min_size: float,
    empty: int,
) -> None:
    """One line in the log about what of a file is not used; nothing where all of it is.

    Args:
        content: The file.
        boxes: (N, 4), x1 y1 x2 y2 as in the file.
        large: (N,), which are used.
        min_size: Smallest side, in pixels.
        empty: Images without a used object that are left out.
    """
    said = []
    if content.crowds:
        said.append(f'{content.crowds} crowds')
    numbers = np.isfinite(boxes).all(axis=1)
    positive = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    wrong = np.flatnonzero(~large & ~(numbers & positive))
    small = int((~large).sum()) - len(wrong)
    if small:
        said.append(f'{small} boxes narrower or lower than {min_size:g} px inside their image')
    if len(wrong):
        first = listed((content.where(int(n)).split(' of ')[0] for n in wrong), _SHOWN)
        said.append(f'{len(wrong)} boxes without width or height ({first})')
    if empty:
        said.append(f'{empty} images without an object')
    if said:
        print_log(
            f'{printable(content.path)}: left out {", ".join(said)}',
            'current',
            logging.WARNING if len(wrong) else logging.INFO,
        )
