"""A resumed run draws the numbers, and sees the images, that the uninterrupted one would have."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmdssl.datasets.sample_keys import KeyedBatches, key_samples
from mmdssl.datasets.transforms.random_streams import restart_streams
from mmdssl.datasets.workers import WorkerStart
from mmdssl.engine.random_state import seed_process
from mmdssl.engine.resuming import EXTRA_BATCHES_KEY, is_epoch_based
from mmdssl.registry import HOOKS

__all__ = ['RandomStateHook']

# What a process draws numbers for, as part of its seed.
_EPOCH, _ITERATION = 0, 1


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Makes every draw of a training a function of its place in the run, and of nothing before it.

    * What a sample draws (crops, flips, masks; all that happens in the data set) follows from the
      run's seed, the epoch and the sample's index alone. An endless sampler's epochs are its
      passes over the data.
    * What a process draws (colours on the device, dropout, a detector's samples of boxes) follows
      from the seed, the process and the iteration alone.

    So a run does not depend on ``num_workers``, ``persistent_workers`` or ``prefetch_factor``, nor
    on what an evaluation draws in between; and a run resumed from any checkpoint, also from within
    an epoch, is bit-equal to one that was not interrupted (on one kind of machine, with
    deterministic kernels). The images that were shown are passed over in the sampler, without
    loading them. Samples keep their draws under another batch size or number of processes.

    Out of its reach is what keeps samples to mix them into later ones, such as mmdet's
    ``CachedMosaic``: each worker has a store of its own.

    Loader workers end soon after the run's process, however that ended.

    Raises:
        ValueError: On resuming within an epoch whose loader has no batches of indices.
    """

    # Before anything else that draws.
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None
        self._keyed: KeyedBatches | None = None
        self._seed = 0

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the order of the images; whether it is used is known when training starts."""
        self._loaded = checkpoint.get('random_state')

    def before_train(self, runner: Runner) -> None:
        """Key the samples by the run's seed, and find the place to go on from."""
        loaded, self._loaded = self._loaded, None
        restart_streams()  # those of an earlier run in this process
        loader = runner.train_dataloader
        self._seed = _common_seed(runner)  # mmengine has taken that of a checkpoint
        self._keyed = key_samples(
            loader, seed=self._seed, rank=runner.rank, world_size=runner.world_size
        )
        loader.worker_init_fn = WorkerStart(loader.worker_init_fn)
        if self._keyed is None:
            runner.logger.warning(
                f'{type(loader.dataset).__name__} is not loaded by index: what its samples draw '
                'depends on the workers, and a resumed run draws differently'
            )
        if runner.iter == 0:
            return
        sampler = _sampler(loader)
        if loaded and loaded.get('sampler_seed') is not None and hasattr(sampler, 'seed'):
            sampler.seed = loaded['sampler_seed']
        self._continue(runner, self._keyed)

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the samples their epoch; draws before its first iteration follow from it, too."""
        if self._keyed is not None and is_epoch_based(runner):
            self._keyed.set_pass(runner.epoch)
        self._seed_process(runner, _EPOCH, runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the process's generators for this iteration."""
        self._seed_process(runner, _ITERATION, runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """The seed is in the checkpoint already; put in that of the images' order."""
        sampler = _sampler(runner.train_dataloader)
        checkpoint['random_state'] = dict(sampler_seed=getattr(sampler, 'seed', None))

    def _seed_process(self, runner: Runner, purpose: int, number: int) -> None:
        rank = runner.rank if _rank_counts(runner) else 0
        # The number of processes as well: with another one an iteration is another place.
        seed_process(self._seed, runner.world_size, rank, purpose, number)

    @staticmethod
    def _continue(runner: Runner, keyed: KeyedBatches | None) -> None:
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            if keyed is None or not keyed.can_forward:
                return  # mmengine steps through the batches that were shown
            taken = runner.iter + (runner.message_hub.get_info(EXTRA_BATCHES_KEY) or 0)
            iterator = loop.dataloader_iterator
            iterator._epoch = keyed.forward(taken)
            iterator.skip_iter = lambda iterations: None  # the loop asks for it; it is done
            return
        length = len(runner.train_dataloader)
        batches = runner.iter - runner.epoch * length
        if batches == 0:
            return
        if keyed is None:
            raise ValueError(
                f'cannot resume after {batches} batches of an epoch: '
                f'{type(runner.train_dataloader.dataset).__name__} is not loaded by index; resume '
                'from a checkpoint of a whole epoch'
            )
        keyed.skip(batches)
        runner.logger.info(f'Resuming within the epoch, after {batches} of {length} batches')


def _rank_counts(runner: Runner) -> bool:
    return bool(runner._randomness_cfg.get('diff_rank_seed', False))


def _common_seed(runner: Runner) -> int:
    """The run's seed without the rank that mmengine adds for ``diff_rank_seed``."""
    return runner.seed - (runner.rank if _rank_counts(runner) else 0)


def _sampler(loader: DataLoader) -> Any:
    """The sampler that orders the images of a loader, or None."""
    own = getattr(loader, 'sampler', None)
    # With a batch sampler of its own, a loader shows a meaningless default here.
    inner = getattr(loader.batch_sampler, 'sampler', None)
    return inner if inner is not None else own
