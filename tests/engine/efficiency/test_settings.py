import gc

import pytest
import torch
from mmengine.config import Config

from mmdssl.engine.efficiency import Efficiency, prepare_efficiency, set_up
from mmdssl.engine.efficiency.device_prefetch import DevicePrefetcher
from mmdssl.engine.launch import build_runner
from tests.engine.toy import toy_config


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(compiled=True), "no 'compiled'; it knows compile, "),
        (dict(tf32='yes'), "tf32 is 'yes'"),
    ],
)
def test_unknown_entries_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Efficiency.of(Config(dict(efficiency=given)))


def _optimizer(**settings):
    return Config(dict(optim_wrapper=dict(optimizer=dict(lr=0.1, **settings))))


def test_optimizers_are_fused_on_gpus_only_and_where_they_can_be(gpu):
    config = _optimizer(type='AdamW')
    prepare_efficiency(config)
    assert config.optim_wrapper.optimizer.fused is True
    for settings in (dict(type='SoCoLARS'), dict(type='SGD', foreach=True)):
        config = _optimizer(**settings)
        prepare_efficiency(config)
        assert 'fused' not in config.optim_wrapper.optimizer
    config = _optimizer(type='AdamW', fused=False)
    prepare_efficiency(config)
    assert config.optim_wrapper.optimizer.fused is False
    config = _optimizer(type='AdamW')
    config.efficiency = dict(fused_optimizer=False)
    prepare_efficiency(config)
    assert 'fused' not in config.optim_wrapper.optimizer


def test_a_cpu_keeps_its_optimizer():
    config = _optimizer(type='AdamW')
    prepare_efficiency(config)
    assert 'fused' not in config.optim_wrapper.optimizer


def test_a_run_on_a_cpu_is_left_alone_but_for_the_collector(tmp_path):
    runner = build_runner(toy_config(tmp_path))
    frozen = gc.get_freeze_count()
    assert frozen > 0
    assert not isinstance(runner.train_loop.dataloader, DevicePrefetcher)
    runner.cfg.efficiency = dict(freeze_gc=False)
    gc.unfreeze()
    assert set_up(runner) == []
    assert gc.get_freeze_count() == 0


def test_what_is_asked_for_is_done(tmp_path, monkeypatch):
    runner = build_runner(toy_config(tmp_path))
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', False)
    runner.cfg.efficiency = dict(cudnn_benchmark=True, tf32=True, freeze_gc=False)
    try:
        assert set_up(runner) == ['TF32', 'cudnn.benchmark']
        assert torch.backends.cudnn.benchmark
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
