"""Proposals of a folder of images: many processes, many machines, and nothing done twice.

Results are journalled image by image (`parts`), so that the same command goes on after an
interrupt. A finished file is part of what is done as well: with new images in the folder, or
repaired ones, the same command adds these. Machines that share a file system take a shard each,
and a last call merges.
"""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import torch

from mmdssl.core.stopping import stoppable
from mmdssl.core.wording import printable
from mmdssl.datasets.decode import ImageDecodeError
from mmdssl.datasets.image_sources import image_source, list_names
from mmdssl.datasets.proposals.filters import Rule, counted_boxes
from mmdssl.datasets.proposals.fingerprint import fingerprint
from mmdssl.datasets.proposals.part_files import part_file
from mmdssl.datasets.proposals.parts import BadEntry, PartFile, parts_folder
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.progress import show_progress
from mmdssl.datasets.proposals.results import gather_results
from mmdssl.datasets.proposals.store import Entry, ProposalStore, write_store

__all__ = ['MakingReport', 'make_proposals', 'merge_proposals']


@dataclass
class MakingReport:
    """What a call has done.

    Attributes:
        out: The proposals file.
        total: Images of the folder, or of the shard.
        made: Images searched by this call.
        changed: Of these, images that had been searched when they were other pictures.
        written: Whether this call wrote ``out``.
        seconds: Duration of the call.
        complete: Whether ``out`` holds all readable images of the folder.
        boxes: Different boxes of the images in ``total``.
        rows: The same with their repetitions.
        rules: Images by the `Rule` that gave their proposals.
        bad: Unreadable images.
    """

    out: Path
    total: int
    made: int = 0
    changed: int = 0
    written: bool = False
    seconds: float = 0.0
    complete: bool = False
    boxes: int = 0
    rows: int = 0
    rules: Counter[Rule] = field(default_factory=Counter)
    bad: list[BadEntry] = field(default_factory=list)


def make_proposals(
    images: str | Path,
    out: str | Path,
    settings: ProposalSettings,
    *,
    workers: int = 1,
    shard: tuple[int, int] = (0, 1),
    separate: bool = False,
    progress: bool = True,
) -> MakingReport:
    """Search all images of a folder, or of a shard of it, that were not searched before.

    Without shards the file ``out`` is written at the end and the parts are removed; with shards,
    `merge_proposals` does so, or each is a file of its own. An unreadable image is skipped,
    reported, and tried again by the next call.

    Args:
        images: The folder, or one of shards; sub-folders are searched too.
        out: The file to write, ``.npz``.
        settings: How proposals are made.
        workers: Processes; up to 1: all in this one.
        shard: (i, n): every n-th image, from the i-th on, 0 <= i < n.
        separate: ``out`` is a folder, and gets a file with the proposals of this shard alone.
        progress: Show a progress bar.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        ValueError: ``out`` or its parts hold proposals made with other settings, the shard makes
            no sense, or no image can be read.
        BrokenProcessPool: A worker process was killed; the same call goes on.
        KeyboardInterrupt: On SIGINT or SIGTERM; the same call goes on.
    """
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f'shard {index}/{count} does not exist: count from 0 to {count - 1}')
    start = time.monotonic()
    out = Path(out)
    if separate:
        if out.suffix == '.npz':
            raise ValueError(f'{out} is the name of a file: one file a part needs a folder')
        out = part_file(out, index, count)
    names = list(_list(images, settings))
    chosen = names[index::count]
    if separate and not chosen:
        raise ValueError(f'{len(names)} images make no {count} files: give fewer parts')
    results, _, changed = gather_results(out, settings, images)
    todo = [name for name in chosen if not isinstance(results.get(name), Entry)]
    report = MakingReport(out=out, total=len(chosen), changed=len(changed.intersection(chosen)))
    if todo:
        facts = dict(parameters=settings.parameters(), versions=settings.versions())
        part = PartFile(parts_folder(out) / f'{index}-of-{count}.part', facts)
        work = partial(_search, settings, os.fspath(images))
        with part, stoppable(), _run(work, todo, workers) as found:
            title = f'proposals {out.name}' + (f' {index}/{count}' if count > 1 else '')
            for entry in show_progress(
                found, title, len(chosen), len(chosen) - len(todo), shown=progress
            ):
                part.add(entry)
                results[entry.name] = entry
                report.made += 1
    _count(report, results, chosen)
    report.seconds = time.monotonic() - start
    if count == 1 or separate:
        _finish(out, settings, chosen, report, images)
    return report


def merge_proposals(
    images: str | Path, out: str | Path, settings: ProposalSettings
) -> MakingReport:
    """Put the parts of all shards into one file and remove them.

    Args:
        images: The folder that was searched.
        out: The file to write.
        settings: What the parts were made with.

    Returns:
        What the file holds.

    Raises:
        ValueError: Images have not been searched yet, or parts were made with other settings.
    """
    out = Path(out)
    names = list(_list(images, settings))
    results, _, _ = gather_results(out, settings, images)
    lacking = [name for name in names if name not in results]
    if lacking:
        raise ValueError(
            f'{len(lacking)} of {len(names)} images have not been searched yet, the first '
            f'{printable(lacking[0])}: finish all shards before --merge, and copy parts that other '
            f'machines made into {printable(str(parts_folder(out)))}'
        )
    report = MakingReport(out=out, total=len(names))
    _count(report, results, names)
    _finish(out, settings, names, report, images)
    return report


def _list(images: str | Path, settings: ProposalSettings) -> Iterator[bytes]:
    """Names of the images of a folder relative to it."""
    found = list_names(images, settings.extensions)
    if not len(found):
        raise FileNotFoundError(f'no image in {images} or its sub-folders: check the folder')
    return iter(found)


def _count(
    report: MakingReport, results: dict[bytes, Entry | BadEntry], names: list[bytes]
) -> None:
    """Fill the numbers of a report."""
    for name in names:
        entry = results[name]
        if isinstance(entry, BadEntry):
            report.bad.append(entry)
        else:
            report.boxes += len(entry.boxes)
            report.rows += int(entry.counts.sum())
            report.rules[Rule(entry.rule)] += 1


def _finish(
    out: Path,
    settings: ProposalSettings,
    names: list[bytes],
    report: MakingReport,
    images: str | Path,
) -> None:
    """Write the file, then remove the parts. Images that left the folder are left out."""
    results, versions, _ = gather_results(out, settings, images)
    entries = [entry for name in names if isinstance(entry := results.get(name), Entry)]
    if not entries:
        first = report.bad[0]
        raise ValueError(
            f'none of the {len(names)} images can be read, the first is '
            f'{printable(first.name)} ({printable(first.reason)}): check the folder'
        )
    parts = parts_folder(out)
    if parts.exists() or len(entries) != len(ProposalStore.open(out)):
        write_store(out, entries, parameters=settings.parameters(), versions=versions)
        report.written = True
    shutil.rmtree(parts, ignore_errors=True)
    report.complete = True


def _search(settings: ProposalSettings, folder: str, name: bytes) -> Entry | BadEntry:
    """The work on one image."""
    source = image_source(folder, name)
    try:
        image = settings.read(source)
    except ImageDecodeError as error:
        return BadEntry(name, error.reason)
    rows, rule = settings.propose(image)
    shape, boxes = (image.shape[0], image.shape[1]), counted_boxes(rows)
    return Entry(name, shape, int(rule), *boxes, fingerprint(source))


@contextmanager
def _run(
    work: Callable[[bytes], Entry | BadEntry], names: list[bytes], workers: int
) -> Iterator[Iterator[Entry | BadEntry]]:
    """Results of all images in any order, from this process or from several."""
    if workers <= 1:
        yield map(work, names)
        return
    with ProcessPoolExecutor(workers, initializer=_start_worker) as pool:
        try:
            yield _unordered(pool, work, names, ahead=4 * workers)
        finally:
            pool.shutdown(cancel_futures=True)


def _unordered(
    pool: ProcessPoolExecutor,
    work: Callable[[bytes], Entry | BadEntry],
    names: list[bytes],
    ahead: int,
) -> Iterator[Entry | BadEntry]:
    """Results as they come, with only so many images handed out ahead."""
    left = iter(names)
    running: set[Future[Entry | BadEntry]] = set()
    while True:
        for name in left:
            running.add(pool.submit(work, name))
            if len(running) >= ahead:
                break
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


def _start_worker() -> None:
    """One thread a process; stopping is the parent's business."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
