"""How many objects of which class an image of Open Images holds, from its box files (V4 and later).

The training boxes are 14.6 million rows (2.3 GB). They are streamed, half a million rows a second,
and only counts per image and class are kept, in flat arrays of about 0.1 GB, whatever the order of
the rows.
"""

import csv
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ['ImageCounts', 'count_boxes', 'read_class_names']

#: Columns of a box file that are used.
BOX_COLUMNS = ('ImageID', 'LabelName', 'IsGroupOf')
# Rows between two looks at the progress bar, images between two packings of their ids.
_STRIDE = 1 << 16


@dataclass(frozen=True)
class ImageCounts:
    """Objects per image and class: image i has the entries ``offsets[i]:offsets[i + 1]``.

    Attributes:
        ids: (I,) bytes, image ids, sorted.
        offsets: (I + 1,) int64.
        classes: (P,) int32, class of each entry, rising within an image.
        counts: (P,) int64, objects of that class in that image, >= 1.
    """

    ids: npt.NDArray[np.bytes_]
    offsets: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def from_entries(
        cls,
        ids: npt.NDArray[np.bytes_],
        images: npt.NDArray[np.int64],
        classes: npt.NDArray[np.int32],
        counts: npt.NDArray[np.int64],
    ) -> 'ImageCounts':
        """Put entries in order; those of the same image and class are added up.

        Args:
            ids: (R,) bytes, image ids in any order, repetitions allowed.
            images: (P,) int64, place in ``ids`` of each entry.
            classes: (P,) class of each entry, >= 0.
            counts: (P,) objects of each entry.
        """
        names, place = np.unique(ids, return_inverse=True)
        width = int(classes.max(initial=0)) + 1
        keys, group = np.unique(place[images] * width + classes, return_inverse=True)
        summed = np.zeros(len(keys), np.int64)
        np.add.at(summed, group, counts)
        image = keys // width
        offsets = np.searchsorted(image, np.arange(len(names) + 1))
        return cls(names, offsets.astype(np.int64), (keys % width).astype(np.int32), summed)


def read_class_names(path: str | Path) -> dict[str, str]:
    """Names by label of ``class-descriptions-boxable.csv``, with or without a header.

    Args:
        path: Rows ``/m/011k07,Tortoise``.

    Returns:
        Names such as ``'Tortoise'`` by label such as ``'/m/011k07'``, in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row has not two columns, a label occurs twice, or there is none.
    """
    names: dict[str, str] = {}
    with _open(path, 'class descriptions').open(newline='', encoding='utf-8-sig') as file:
        for line, row in enumerate(csv.reader(file), start=1):
            if not row or row == ['LabelName', 'DisplayName']:
                continue
            if len(row) != 2:
                raise ValueError(
                    f'{path}, line {line}: a class is a label and a name, two columns, but there '
                    f'are {len(row)}; give class-descriptions-boxable.csv of Open Images'
                )
            if row[0] in names:
                raise ValueError(f'{path}, line {line}: label {row[0]} occurs twice')
            names[row[0]] = row[1]
    if not names:
        raise ValueError(f'{path} holds no class; give class-descriptions-boxable.csv')
    return names


def count_boxes(path: str | Path, labels: Mapping[str, int], *, groups: bool = True) -> ImageCounts:
    """Count the boxes of each class in each image.

    Args:
        path: Box file with a header, e.g. ``oidv6-train-annotations-bbox.csv``.
        labels: Class index by label, e.g. ``{'/m/011k07': 0}``.
        groups: Count a box around a group (``IsGroupOf`` = 1) as one object, or not at all.

    Returns:
        The counts of every image with at least one counted box.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column or a value is missing, or a label is unknown.
    """
    path = _open(path, 'boxes')
    ids: list[npt.NDArray[np.bytes_]] = []
    fresh: list[bytes] = []
    entry_images, entry_classes, entry_counts = array('q'), array('i'), array('q')
    # Rows of an image mostly follow each other: they are counted together at once.
    image, run, found = '', -1, dict[int, int]()

    def close_run() -> None:
        entry_images.extend([run] * len(found))
        entry_classes.extend(found.keys())
        entry_counts.extend(found.values())
        found.clear()

    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with (
        path.open('rb', buffering=1 << 20) as raw,
        TextIOWrapper(raw, encoding='utf-8-sig', newline='') as file,
        Progress(*columns, transient=True) as progress,
    ):
        task = progress.add_task(f'reading {path.name}', total=path.stat().st_size)
        reader = csv.reader(file)
        image_at, label_at, group_at = _columns(next(reader, []), path)
        try:
            for row in reader:
                if not groups and row[group_at] == '1':
                    continue
                if row[image_at] != image:
                    close_run()
                    image, run = row[image_at], run + 1
                    fresh.append(image.encode())
                    if len(fresh) == _STRIDE:
                        ids.append(np.array(fresh))
                        fresh.clear()
                        progress.update(task, completed=raw.tell())
                label = labels[row[label_at]]
                found[label] = found.get(label, 0) + 1
        except (IndexError, KeyError, UnicodeDecodeError, csv.Error) as error:
            raise ValueError(_bad_row(path, reader.line_num, error)) from error
    close_run()
    ids.append(np.array(fresh, dtype=np.bytes_))
    return ImageCounts.from_entries(
        np.concatenate(ids),
        np.array(entry_images, dtype=np.int64),
        np.array(entry_classes, dtype=np.int32),
        np.array(entry_counts, dtype=np.int64),
    )


def _columns(header: list[str], path: Path) -> list[int]:
    missing = [name for name in BOX_COLUMNS if name not in header]
    if missing:
        raise ValueError(
            f'{path} lacks the column(s) {", ".join(missing)} (its first line: '
            f'{",".join(header)[:80]!r}); give a box file of Open Images V4 or later, e.g. '
            'oidv6-train-annotations-bbox.csv'
        )
    return [header.index(name) for name in BOX_COLUMNS]


def _bad_row(path: Path, line: int, error: Exception) -> str:
    if isinstance(error, KeyError):
        return (
            f'{path}, line {line}: label {error.args[0]!r} is not among the class descriptions; '
            'give those of the same release of Open Images'
        )
    what = 'a row with too few columns' if isinstance(error, IndexError) else f'no text ({error})'
    return f'{path}, line {line}: {what}; download the file again'


def _open(path: str | Path, what: str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no file {path} of Open Images {what}')
    return path
