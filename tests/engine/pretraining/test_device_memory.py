"""The step that is measured for its memory is a training step, and nothing of it remains."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmdssl.engine.pretraining import device_memory
from mmdssl.engine.pretraining.device_memory import memory_of_step
from mmdssl.engine.throughput.model_flops import flops_per_image
from mmdssl.registry import DATASETS, MODELS
from tests.engine.pretraining.photos import photos, resolved


@pytest.fixture
def cuda(monkeypatch):
    """Stands in for the counters of a device."""
    calls = []
    monkeypatch.setattr(torch.cuda, 'reset_peak_memory_stats', lambda: calls.append('reset'))
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: calls.append('empty'))
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda: 123)
    return calls


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return photos(tmp_path_factory.mktemp('data') / 'photos', 8)


@pytest.mark.parametrize('method', ['ibot-d', 'densecl-d'])
def test_a_step_is_made_and_let_go(method, folder, tmp_path, cuda, monkeypatch):
    # A queue that no batch of 12 would fit: its length is decided after the batch.
    options = {} if method == 'ibot-d' else {'model.queue_length': 1000}
    config = resolved(method, folder, tmp_path, **options).config
    before = config.pretty_text
    steps = []
    build = device_memory.build_optim_wrapper

    def watched(model, settings):
        wrapper = build(model, settings)
        wrapper.optimizer.register_step_post_hook(lambda *_: steps.append(1))
        return wrapper

    monkeypatch.setattr(device_memory, 'build_optim_wrapper', watched)
    state = torch.get_rng_state()
    assert memory_of_step(config, 12, device='cpu') == 123
    assert len(steps) == 2
    assert cuda == ['reset', 'empty']
    assert torch.equal(torch.get_rng_state(), state)
    assert config.pretty_text == before


def test_a_device_without_room_says_so(folder, tmp_path, cuda, monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(device_memory, 'build_optim_wrapper', full)
    config = resolved('densecl', folder, tmp_path).config
    assert memory_of_step(config, 8, device='cpu') > 10**15
    assert cuda[-1] == 'empty'


def test_operations_of_a_host_are_those_of_its_passes(folder, tmp_path):
    config = resolved('ibot', folder, tmp_path).config
    host = MODELS.build(config.model)
    found = flops_per_image(host, DATASETS.build(config.train_dataloader.dataset), dtype=None)
    with FlopCounterMode(display=False) as counter:
        host.backbone(torch.zeros(1, 3, 96, 96))
    # Two views: forward and twice as much backward in the student, forward in the teacher; heads.
    passes = 2 * (3 + 1) * counter.get_total_flops()
    assert 0.95 * passes < found < 1.5 * passes
