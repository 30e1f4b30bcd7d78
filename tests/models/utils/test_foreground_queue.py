import pytest
import torch

from mmdssl.models.utils.foreground_queue import ForegroundQueue


def test_newest_first_and_nothing_until_full():
    queue = ForegroundQueue(views=2, length=5, dim=2)
    rows = torch.arange(16.0).view(8, 2)
    queue.push(0, rows[:3])
    assert len(queue.get(0)) == 0
    queue.push(0, rows[3:3])  # a batch without foreground
    queue.push(0, rows[3:6])
    assert torch.equal(queue.get(0), rows[[3, 4, 5, 0, 1]])
    assert len(queue.get(1)) == 0
    assert queue.filled.tolist() == [5, 0]


def test_more_than_fits():
    queue = ForegroundQueue(views=1, length=3, dim=1)
    queue.push(0, torch.arange(5.0)[:, None])
    assert queue.get(0).flatten().tolist() == [0, 1, 2]


def test_checkpoint_restores_its_length():
    queue = ForegroundQueue(views=1, length=3, dim=1)
    queue.push(0, torch.ones(3, 1))
    other = ForegroundQueue(views=1, length=7, dim=1)
    other.load_state_dict(queue.state_dict())
    assert torch.equal(other.get(0), torch.ones(3, 1))


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match='length=0'):
        ForegroundQueue(views=1, length=0, dim=1)
