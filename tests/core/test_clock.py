"""TrainingClock: what it tells inside both kinds of loop, and outside of any."""

import pytest
from mmengine.logging import MessageHub

from mmdssl.core.clock import TrainingClock


@pytest.fixture
def hub(request):
    return MessageHub.get_instance(request.node.name)


def publish(hub, **info):
    for key, value in info.items():
        hub.update_info(key, value)


def test_set_counts_epochs_from_iterations():
    clock = TrainingClock()
    clock.set(iteration=7, max_iterations=21, iterations_per_epoch=3)
    assert (clock.iteration, clock.max_iterations) == (7, 21)
    assert (clock.epoch, clock.max_epochs) == (2, 7)


def test_set_without_epoch_length_is_one_epoch():
    clock = TrainingClock()
    clock.set(iteration=7, max_iterations=21)
    assert (clock.epoch, clock.max_epochs) == (0, 1)


def test_epoch_based_run_is_read(hub):
    publish(hub, iter=7, max_iters=12, epoch=1, max_epochs=3)
    clock = TrainingClock()
    assert (clock.iteration, clock.max_iterations) == (7, 12)
    assert (clock.epoch, clock.max_epochs, clock.iterations_per_epoch) == (1, 3, 4)


def test_iteration_based_run_counts_passes_over_the_data(hub):
    publish(hub, iter=25, max_iters=35, epoch=0, max_epochs=1, iterations_per_epoch=10)
    clock = TrainingClock()
    assert (clock.epoch, clock.max_epochs) == (2, 4)


def test_iteration_based_run_of_unknown_epoch_length_is_one_epoch(hub):
    publish(hub, iter=25, max_iters=35, epoch=0, max_epochs=1)
    clock = TrainingClock()
    assert (clock.epoch, clock.max_epochs) == (0, 1)


def test_set_wins_over_the_runner(hub):
    publish(hub, iter=7, max_iters=12, epoch=1, max_epochs=3)
    clock = TrainingClock()
    assert clock.iteration == 7
    clock.set(iteration=0, max_iterations=2)
    assert clock.iteration == 0


def test_outside_a_run_the_clock_says_so(hub):
    with pytest.raises(RuntimeError, match=r'clock\.set'):
        _ = TrainingClock().iteration


@pytest.mark.parametrize(
    'values', [dict(iteration=-1, max_iterations=3), dict(iteration=0, max_iterations=0)]
)
def test_impossible_positions_are_refused(values):
    with pytest.raises(ValueError, match=r'TrainingClock\.set'):
        TrainingClock().set(**values)
