"""Tell the user about images that could not be read: in the log as they turn up, and at the end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdssl.core.wording import printable
from mmdssl.datasets.bad_images import BadImage, BadImages
from mmdssl.registry import HOOKS

__all__ = ['BadImagesHook']


@HOOKS.register_module()
class BadImagesHook(Hook):
    """Report the unreadable images that the training data set replaced by others.

    New ones are logged every ``interval`` iterations and after each epoch. The end of the run
    logs their number over all processes and writes ``bad_images.txt`` (path, tab, reason) into
    the work folder; a run without any leaves no file.

    Args:
        interval: Iterations between two looks at the journal.
        show: So many new images are named at a time; of further ones only the number.
    """

    priority = 'LOW'

    def __init__(self, *, interval: int = 200, show: int = 5) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval = interval
        self.show = show
        self._reported: dict[Path, int] = {}  # entries already logged, by journal

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log what is new, every ``interval`` iterations."""
        if self.every_n_train_iters(runner, self.interval):
            self._log_new(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log what is new."""
        self._log_new(runner)

    def after_train(self, runner: Runner) -> None:
        """Log the total and write the list into the work folder."""
        journals = _journals(runner.train_dataloader.dataset)
        entries = [entry for journal in journals for entry in journal.read()]
        gathered = {e.path: e for part in all_gather_object(entries) for e in part}
        if not gathered or not is_main_process():
            return
        target = Path(runner.work_dir) / 'bad_images.txt'
        lines = [f'{e.path}\t{e.reason}\n' for e in gathered.values()]
        target.write_text(''.join(lines), encoding='utf-8', errors='surrogateescape')
        runner.logger.warning(
            f'{len(gathered)} images could not be read and were replaced by others: see {target}'
        )

    def _log_new(self, runner: Runner) -> None:
        new: list[BadImage] = []
        for journal in _journals(runner.train_dataloader.dataset):
            entries = journal.read()
            new += entries[self._reported.get(journal.path, 0) :]
            self._reported[journal.path] = len(entries)
        for entry in new[: self.show]:
            path, reason = printable(entry.path), printable(entry.reason)
            runner.logger.warning(f'unreadable image {path}: {reason}; replaced')
        if len(new) > self.show:
            runner.logger.warning(f'... and {len(new) - self.show} more unreadable images')


def _journals(dataset: Any) -> Iterator[BadImages]:
    """The journals of a data set and of those it wraps (Subset, ConcatDataset and their like)."""
    journal = getattr(dataset, 'bad_images', None)
    if isinstance(journal, BadImages):
        yield journal
    inner = getattr(dataset, 'dataset', None)
    for part in [inner] if inner is not None else getattr(dataset, 'datasets', []):
        yield from _journals(part)
