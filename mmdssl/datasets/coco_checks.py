"""A COCO file against its photos: missing ones, turned ones, and what is left out, said at once."""

import logging
import os

import numpy as np
import numpy.typing as npt
from mmengine.logging import print_log

from mmdssl.core.wording import listed, printable
from mmdssl.datasets.coco_file import CocoFile
from mmdssl.datasets.image_header import picture_shape
from mmdssl.datasets.image_list import ByteStrings

__all__ = ['check_files', 'check_orientation', 'tell_left_out']

_SHOWN = 3
# Pixels by which boxes of careful people leave the picture: rounding.
_ROUNDING = 2.0
_LOOKED_AT = 200  # photos whose headers are read to find out about their orientation


def check_files(ann_file: str, folder: str, names: ByteStrings) -> None:
    """Every image of a list is there: what one listing of each folder shows.

    Raises:
        FileNotFoundError: Images are missing, all of them counted.
    """
    base = os.fsencode(folder)
    listings: dict[bytes, set[bytes]] = {}
    missing = []
    for name in names:
        head, tail = os.path.split(name)
        if head not in listings:
            try:
                listings[head] = set(os.listdir(os.path.join(base, head) or b'.'))
            except OSError:
                listings[head] = set()
        if tail not in listings[head] and not os.path.exists(os.path.join(base, name)):
            missing.append(name)
    if missing:
        where = printable(os.path.join(base, missing[0]))
        rest = ', '.join(printable(name) for name in missing[1 : _SHOWN + 1])
        windows = b'\\' in missing[0]
        raise FileNotFoundError(
            f'{len(missing)} of {len(names)} images named in {printable(ann_file)} do not exist, '
            f'the first {where}{f" (then {rest})" if rest else ""}: '
            + ('write folders with / in file_name' if windows else _remedy(len(missing), names))
        )


def _remedy(count: int, names: ByteStrings) -> str:
    if count == len(names):
        return 'check data_root and data_prefix'
    return 'copy them there, or take them out of the annotation file'


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
