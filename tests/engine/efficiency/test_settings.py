import gc
from functools import partial

import pytest
import torch
from mmengine.config import Config

from mmdssl.engine.config import load_config
from mmdssl.engine.efficiency import Efficiency, prepare_efficiency, set_up
from mmdssl.engine.efficiency.device_prefetch import DevicePrefetcher
from mmdssl.engine.launch import build_runner, set_precision
from tests.engine.toy import toy_config


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(compiled=True), "no 'compiled'; it knows workers, .*compile, "),
        (dict(tf32='yes'), "tf32 is 'yes'"),
        (dict(workers=-1), 'workers is -1; give 0 or more'),
        (dict(workers=1.5), 'workers is 1.5'),
    ],
)
def test_unknown_entries_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Efficiency.of(Config(dict(efficiency=given)))


def test_block_reaches_loader_and_preprocessor_but_yields_to_theirs(tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(
        'efficiency = dict(workers=3, pin_memory=True, channels_last=True)\n'
        'train_dataloader = dict(batch_size=2)\n'
        "model = dict(data_preprocessor=dict(type='MultiViewPreprocessor'))\n"
    )
    config = load_config(file)
    loader = dict(batch_size=2, num_workers=3, persistent_workers=True, pin_memory=True)
    assert config.train_dataloader.to_dict() == loader
    assert config.model.data_preprocessor.channels_last is True
    config = load_config(file, {'efficiency.workers': 0, 'efficiency.channels_last': False})
    assert (config.train_dataloader.num_workers, config.train_dataloader.persistent_workers) == (
        0,
        False,
    )
    assert config.model.data_preprocessor.channels_last is False
    given = {'train_dataloader.num_workers': 1, 'efficiency.compile': False}
    assert load_config(file, given).train_dataloader.num_workers == 1


def test_attention_can_be_computed_step_by_step(tmp_path, monkeypatch):
    asked = {}
    for kernel in ('flash', 'mem_efficient', 'cudnn'):
        name = f'enable_{kernel}_sdp'
        monkeypatch.setattr(torch.backends.cuda, name, partial(asked.__setitem__, name))
    config = toy_config(tmp_path)
    config.efficiency = dict(sdpa=False)
    assert 'attention step by step' in set_up(build_runner(config))
    assert set(asked.values()) == {False}
    assert len(asked) == 3


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


def _half(**settings):
    return Config(
        dict(
            optim_wrapper=dict(
                type='AmpPerParamClipOptimWrapper',
                dtype='float16',
                loss_scale='dynamic',
                optimizer=dict(type='SoCoLARS', lr=0.1),
            ),
            **settings,
        )
    )


@pytest.mark.parametrize(
    ('supported', 'settings', 'amp', 'wanted'),
    [
        (True, {}, None, 'bfloat16'),
        (False, {}, None, 'float16'),
        (True, dict(efficiency=dict(bf16=False)), None, 'float16'),
        (True, {}, 'fp16', 'float16'),
        (False, {}, 'bf16', 'bfloat16'),
    ],
)
def test_half_precision_is_bfloat16_where_the_device_has_it(
    gpu, monkeypatch, supported, settings, amp, wanted
):
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: supported)
    config = _half(**settings)
    if amp is not None:
        set_precision(config, amp)
    prepare_efficiency(config)
    assert config.optim_wrapper.dtype == wanted
    assert ('loss_scale' in config.optim_wrapper) == (wanted == 'float16' or amp == 'bf16')
