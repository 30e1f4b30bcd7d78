"""Do queries lie in the bank? Every object would find itself, and any network look good.

One annotation file for both sides gives an untrained network 90 %. The same file on both sides is
an error; the same content under two names, as in data sets that were put together, is a warning.
"""

import logging
import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from mmengine.logging import print_log

from mmdssl.core.wording import listed, printable
from mmdssl.datasets.proposals.fingerprint import UNKNOWN, fingerprint
from mmdssl.evaluation.object_knn import ObjectKNN
from mmdssl.evaluation.patch_retrieval import PatchRetrieval

__all__ = ['check_separate']

_SHOWN = 3


def check_separate(dataset: Any, metrics: Iterable[Any]) -> None:
    """Compare banks and queries of metrics that search neighbours over a :class:`TaggedConcat`.

    Args:
        dataset: Of the evaluation; without ``tags`` nothing is compared.
        metrics: Of the evaluation; others are passed over.

    Raises:
        ValueError: Images are on both sides, the same files.
    """
    parts = dict(zip(getattr(dataset, 'tags', ()), getattr(dataset, 'datasets', ()), strict=False))
    # Parts for several metrics hold the same images: each is looked at once.
    status, ends = cache(_status), cache(fingerprint)
    compared: list[tuple[Any, Any]] = []
    for metric in metrics:
        if isinstance(metric, ObjectKNN):
            tags: tuple[str, ...] = (metric.bank,)
        elif isinstance(metric, PatchRetrieval):
            tags = tuple(tag for tag in metric.tags if tag != metric.query)
        else:
            continue
        for tag in tags:
            bank, query = parts.get(tag), parts.get(metric.query)
            if bank is None or query is None or any(bank is b and query is q for b, q in compared):
                continue
            compared.append((bank, query))
            sides = f'bank {tag!r} and queries {metric.query!r}'
            _compare(bank, query, sides, status_of=status, ends_of=ends)


def _compare(
    bank: Any,
    query: Any,
    sides: str,
    *,
    status_of: Callable[[str], os.stat_result | None],
    ends_of: Callable[[str], int],
) -> None:
    kept: dict[tuple[int, int], str] = {}  # device and inode: links are seen through
    sizes: dict[int, list[str]] = {}
    for path in _paths(bank):
        status = status_of(path)
        if status is not None:
            kept[status.st_dev, status.st_ino] = path
            sizes.setdefault(status.st_size, []).append(path)
    same, alike = [], []
    asked = list(_paths(query))
    for path in asked:
        status = status_of(path)
        if status is None:
            continue
        if (status.st_dev, status.st_ino) in kept:
            same.append(path)
            continue
        twins = sizes.get(status.st_size)
        twin = (
            twins
            and (found := ends_of(path)) != UNKNOWN
            and next((one for one in twins if ends_of(one) == found), None)
        )
        if twin:
            alike.append(f'{printable(path)} is {printable(twin)}')
    if same:
        raise ValueError(
            f'{len(same)} of {len(asked)} query images lie in the bank as well ({sides}): '
            f'{listed(map(printable, same), _SHOWN)}; every object or patch of theirs would '
            'find itself: use two parts of the data'
        )
    if alike:
        print_log(
            f'{len(alike)} of {len(asked)} query images have the content of images of the bank '
            f'({sides}): {listed(alike, _SHOWN)}; their objects or patches find themselves, '
            'so the numbers are too high: take them out of one side',
            'current',
            logging.WARNING,
        )


def _paths(part: Any) -> Iterable[str]:
    return (part.get_data_info(index)['img_path'] for index in range(len(part)))


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:  # a missing image is the loader's business
        return None
