"""A resumed run draws the numbers, and sees the images, that the uninterrupted one would have."""

from collections.abc import Callable, Iterator
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader, Sampler

from mmdssl.datasets.transforms.streams import restart_streams
from mmdssl.engine.random_state import (
    capture_random_state,
    restore_random_state,
    seed_everything,
)
from mmdssl.engine.resuming import is_epoch_based
from mmdssl.registry import HOOKS

__all__ = ['RandomStateHook']


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Keeps the random states of every process in the checkpoint and goes on with them.

    At the end of an epoch's last iteration the states are taken, and at the start
    of the next epoch set again: what an evaluation between the two draws moves
    nothing, and a run resumed there is bit-equal to one that was not interrupted
    (on one kind of machine, with deterministic kernels). Loader workers get their
    seed from the main process at the start of an epoch, so their draws are
    continued as well, not repeated.

    A checkpoint from within an epoch resumes within it: the images that the epoch
    has shown are passed over in the sampler, without loading them. That is
    bit-equal without loader workers. Workers hold states of their own: where they
    have started before the checkpoint (within an epoch, or ``persistent_workers``),
    new ones start on resuming and draw other augmentations, never the same again.

    Where the number of processes has changed, the draws start anew from the seed
    and the iteration, so that nothing is repeated.

    Raises:
        ValueError: On resuming within an epoch with a batch sampler that does not
            tell its sampler and batch size.
    """

    # Before anything else that draws, in after_train_epoch above all.
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None
        self._gathered: list[dict[str, Any]] | None = None
        # Where the next epoch starts from; None while an epoch runs.
        self._pending: dict[str, Any] | None = None
        self._resumed = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the states; whether they are used is known when training starts."""
        self._loaded = checkpoint.get('random_state')

    def before_train(self, runner: Runner) -> None:
        """Choose the state to go on from, if this run goes on at all."""
        loaded, self._loaded = self._loaded, None
        self._resumed = runner.iter > 0
        if not self._resumed:
            restart_streams()  # those of an earlier run in this process
            return
        sampler = _sampler(runner.train_dataloader)
        states = loaded['ranks'] if loaded else []
        if loaded and loaded['sampler_seed'] is not None and hasattr(sampler, 'seed'):
            sampler.seed = loaded['sampler_seed']
        if len(states) == runner.world_size:
            self._pending = states[runner.rank]
            return
        runner.logger.warning(
            f'The checkpoint holds random states of {len(states)} processes and this run has '
            f'{runner.world_size}: its draws start anew from the seed and the iteration'
        )
        seed_everything(runner.seed or 0, runner.iter, runner.rank)
        self._pending = capture_random_state()

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the states, and on resuming pass over what the epoch has shown."""
        state, self._pending = self._pending, None
        if state is None:
            return
        restore_random_state(state)
        if self._resumed:
            self._resumed = False
            self._continue_epoch(runner, state)

    def after_train_epoch(self, runner: Runner) -> None:
        """Take the states from which the next epoch starts."""
        self._pending = capture_random_state()

    def gather_checkpoint_state(self, runner: Runner) -> None:
        """Collect the states of all processes; ``SafeCheckpointHook`` calls it on each."""
        self._gathered = all_gather_object(self._pending or capture_random_state())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the states into the checkpoint (on the main process)."""
        states, self._gathered = self._gathered, None
        checkpoint['random_state'] = dict(
            ranks=states or [self._pending or capture_random_state()],
            sampler_seed=getattr(_sampler(runner.train_dataloader), 'seed', None),
        )

    @staticmethod
    def _continue_epoch(runner: Runner, state: dict[str, Any]) -> None:
        loader = runner.train_dataloader
        epoch_based = is_epoch_based(runner)
        # The iteration-based loop passes over shown batches by itself.
        batches = runner.iter - runner.epoch * len(loader) if epoch_based else 0
        if epoch_based and batches == 0:
            return
        batch_sampler = loader.batch_sampler
        if not isinstance(batch_sampler, BatchSampler):
            if batches == 0:
                return
            raise ValueError(
                f'cannot resume after {batches} batches of an epoch with the batch sampler '
                f'{type(batch_sampler).__name__}; resume from a checkpoint of a whole epoch'
            )

        def set_again() -> None:
            # Building the loader's iterator has drawn the workers' seed, which the
            # uninterrupted run did once, at the start of the epoch.
            restore_random_state(state)

        _ContinuedSampler.install(batch_sampler, batches * batch_sampler.batch_size, set_again)
        if batches:
            runner.logger.info(
                f'Resuming within the epoch, after {batches} of {len(loader)} batches'
            )


class _ContinuedSampler(Sampler):
    """For one pass: the sampler's order without its first ``skip`` indices."""

    def __init__(self, sampler: Sampler, skip: int, on_start: Callable[[], None]) -> None:
        self.sampler = sampler
        self.skip = skip
        self.on_start = on_start

    @classmethod
    def install(cls, batch_sampler: BatchSampler, skip: int, on_start: Callable[[], None]) -> None:
        """Stand in for the sampler of ``batch_sampler`` until its next pass has begun."""
        original = batch_sampler.sampler

        def start() -> None:
            batch_sampler.sampler = original
            on_start()

        batch_sampler.sampler = cls(original, skip, start)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        # A generator: this runs at the first index, when the loader's iterator stands.
        self.on_start()
        for position, index in enumerate(self.sampler):
            if position >= self.skip:
                yield index

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]


def _sampler(loader: DataLoader) -> Any:
    """The sampler that orders the images of a loader, or None."""
    own = getattr(loader, 'sampler', None)
    # With a batch sampler of its own, a loader shows a meaningless default here.
    inner = getattr(loader.batch_sampler, 'sampler', None)
    return inner if inner is not None else own
