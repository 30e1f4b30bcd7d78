"""The key queue: order, length, restoring; several processes are in test_densecl_distributed."""

import logging

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from torch import nn
from torch.nn.functional import normalize

from mmdssl.models.utils.queue import KeyQueue


def unit(*shape: int) -> torch.Tensor:
    return normalize(torch.randn(*shape), dim=-1)


def test_starts_with_random_unit_vectors():
    queue = KeyQueue(dim=16, length=400)
    assert queue.keys.shape == (16, 400)
    torch.testing.assert_close(queue.keys.norm(dim=0), torch.ones(400))
    # Uniform on the sphere: no direction is preferred.
    assert queue.keys.mean(dim=1).abs().max() < 5 / (16 * 400) ** 0.5
    assert queue.pointer.tolist() == [0]
    assert not list(queue.parameters())


def test_oldest_keys_are_replaced_first():
    queue = KeyQueue(dim=4, length=6)
    first = queue.keys.clone()
    batches = [unit(2, 4) for _ in range(4)]
    queue.enqueue(batches[0])
    assert queue.pointer.item() == 2
    assert torch.equal(queue.keys[:, :2], batches[0].T)
    assert torch.equal(queue.keys[:, 2:], first[:, 2:])
    for batch in batches[1:]:
        queue.enqueue(batch)
    assert queue.pointer.item() == 2
    want = torch.cat([batches[3], batches[1], batches[2]]).T
    assert torch.equal(queue.keys, want)


def test_keys_are_stored_in_the_precision_of_the_queue_and_without_a_graph():
    queue = KeyQueue(dim=4, length=2)
    queue.enqueue(unit(2, 4).half().requires_grad_())
    assert queue.keys.dtype == torch.float32
    assert not queue.keys.requires_grad


@pytest.mark.parametrize(
    ('length', 'per_step', 'available', 'want'),
    [
        (64, 8, 1000, 64),
        (64, 8, 30, 24),
        (64, 10, 1000, 60),
        (64, 8, 8, 8),
        (65536, 256, 118287, 65536),
    ],
)
def test_length_fits_batch_and_data(length, per_step, available, want):
    queue = KeyQueue(dim=2, length=length)
    first = queue.keys.clone()
    queue.fit(per_step=per_step, available=available)
    assert queue.length == want
    assert torch.equal(queue.keys, first[:, :want])


def test_fit_says_what_it_did_and_why_the_loss_rises(monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmdssl.models.utils.queue.print_log', lambda text, **how: messages.append((text, how))
    )
    KeyQueue(dim=2, length=64, name='dense queue').fit(per_step=8, available=30)
    KeyQueue(dim=2, length=64).fit(per_step=8, available=300)
    (short, one), (kept, other) = messages
    assert 'dense queue: shortened from 64 to 24' in short
    assert 'filled after 3 steps; the loss rises until then' in short
    assert (one['level'], other['level']) == (logging.WARNING, logging.INFO)
    assert 'length 64' in kept
    assert 'filled after 8 steps' in kept


@pytest.mark.parametrize(
    ('length', 'available', 'message'),
    [(64, 7, 'more than the 7 keys of the data'), (4, 100, 'more than a queue of 4')],
)
def test_queue_that_cannot_hold_one_step_is_refused(length, available, message):
    with pytest.raises(ValueError, match=message):
        KeyQueue(dim=2, length=length).fit(per_step=8, available=available)


def test_batch_of_another_size_is_refused():
    queue = KeyQueue(dim=2, length=6)
    with pytest.raises(ValueError, match=r'4 keys a step do not fit a queue of 6'):
        queue.enqueue(unit(4, 2))
    queue.enqueue(unit(2, 2))
    with pytest.raises(ValueError, match=r'3 keys a step .* at column 2'):
        queue.enqueue(unit(3, 2))


@pytest.mark.parametrize('length', [4, 6, 8])
@pytest.mark.parametrize('load', [nn.Module.load_state_dict, load_state_dict])  # torch, mmengine
def test_checkpoint_restores_its_own_length_in_place(length, load):
    stored = KeyQueue(dim=3, length=6)
    stored.enqueue(unit(2, 3))
    queue = KeyQueue(dim=3, length=length)
    held = queue.keys  # what a distributed wrapper keeps
    load(queue, stored.state_dict())
    assert queue.keys is held
    assert torch.equal(held, stored.keys)
    assert queue.pointer.item() == 2
    assert held.data_ptr() != stored.keys.data_ptr()


def test_checkpoint_of_another_dimension_is_refused():
    with pytest.raises(RuntimeError, match='size mismatch'):
        KeyQueue(dim=3, length=6).load_state_dict(KeyQueue(dim=2, length=6).state_dict())


def test_length_must_be_positive():
    with pytest.raises(ValueError, match='length=0'):
        KeyQueue(dim=3, length=0)
