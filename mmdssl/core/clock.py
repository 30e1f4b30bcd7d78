"""Where a model learns how far its training has come.

Schedules that change a loss (teacher temperature, EMA momentum, start of patch
prediction) live in the model and are driven by the step. The model does not know
the runner; it asks a :class:`TrainingClock`, which reads what the runner
publishes, or what a test or another training loop tells it.
"""

from mmengine.logging import MessageHub

__all__ = ['EPOCH_LENGTH_KEY', 'TrainingClock']

#: Name under which ``SafeCheckpointHook`` publishes the iterations per epoch.
EPOCH_LENGTH_KEY = 'iterations_per_epoch'


class TrainingClock:
    """Iteration and epoch of the running training, both counted from 0.

    Inside an mmengine ``Runner`` the values come from the current ``MessageHub``.
    ``RuntimeInfoHook`` writes ``epoch`` before each epoch and ``iter`` before
    each iteration, so that the forward pass and everything up to the hooks after
    the optimizer step see the number of the iteration they belong to. One
    iteration is one batch, also under gradient accumulation.

    In an iteration-based loop an epoch is one pass over the data: its length is
    what ``SafeCheckpointHook`` publishes; where nobody does, the whole run counts
    as one epoch.

    Outside a runner, :meth:`set` gives the values::

        model.clock.set(iteration=7, max_iterations=100, iterations_per_epoch=10)
    """

    def __init__(self) -> None:
        self._manual: tuple[int, int, int] | None = None

    def set(
        self, *, iteration: int, max_iterations: int, iterations_per_epoch: int | None = None
    ) -> None:
        """Use these values from now on, instead of a runner's.

        Args:
            iteration: Number of the current iteration, >= 0.
            max_iterations: Iterations of the whole run, > 0.
            iterations_per_epoch: Length of an epoch; None makes the run one epoch.

        Raises:
            ValueError: If a value is out of its range.
        """
        length = max_iterations if iterations_per_epoch is None else iterations_per_epoch
        if iteration < 0 or max_iterations < 1 or length < 1:
            raise ValueError(
                f'TrainingClock.set: iteration={iteration}, max_iterations={max_iterations}, '
                f'iterations_per_epoch={iterations_per_epoch}; the first must be at least 0, the '
                'others at least 1'
            )
        self._manual = (iteration, max_iterations, length)

    @property
    def iteration(self) -> int:
        """Number of the current iteration, from 0."""
        return self._manual[0] if self._manual else self._published('iter')

    @property
    def max_iterations(self) -> int:
        """Iterations of the whole run."""
        return self._manual[1] if self._manual else self._published('max_iters')

    @property
    def iterations_per_epoch(self) -> int:
        """Length of an epoch in iterations."""
        if self._manual:
            return self._manual[2]
        published = MessageHub.get_current_instance().get_info(EPOCH_LENGTH_KEY)
        # The epoch-based loop defines max_iters as a multiple of max_epochs; the
        # iteration-based one always says max_epochs = 1.
        return published or self.max_iterations // self._published('max_epochs')

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 0."""
        if self._manual is None and self._published('max_epochs') > 1:
            return self._published('epoch')
        return self.iteration // self.iterations_per_epoch

    @property
    def max_epochs(self) -> int:
        """Epochs of the whole run; an unfinished last one counts."""
        if self._manual is None and self._published('max_epochs') > 1:
            return self._published('max_epochs')
        return -(-self.max_iterations // self.iterations_per_epoch)

    @staticmethod
    def _published(key: str) -> int:
        value = MessageHub.get_current_instance().get_info(key)
        if value is None:
            raise RuntimeError(
                f'TrainingClock: no runner has published {key!r}; outside an mmengine Runner call '
                'clock.set(iteration=..., max_iterations=..., iterations_per_epoch=...) before '
                'each step'
            )
        return value
