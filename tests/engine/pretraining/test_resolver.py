"""Each decision follows its rule, stands in the config, and is told."""

import dataclasses

import pytest

from mmdssl.engine.command_line import Typed
from mmdssl.engine.pretraining.catalogue import shipped_configs
from mmdssl.engine.pretraining.machine import Machine
from mmdssl.registry import MODELS
from tests.engine.pretraining.photos import CPU, GIGA, GPU, photos, resolved, said

METHODS = sorted({one.method for one in shipped_configs() if one.data == 'coco'})


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return photos(tmp_path_factory.mktemp('data') / 'photos', 64)


@pytest.fixture
def many(monkeypatch, folder):
    """A folder that says it holds more images than it does."""
    from mmdssl.engine.pretraining import inputs
    from mmdssl.engine.pretraining.photos import Photos

    def pretend(count, side=480):
        monkeypatch.setattr(
            inputs, 'look_at', lambda where, most, channels: Photos(where, count, side)
        )
        return folder

    return pretend


@pytest.mark.parametrize('machine', [CPU, GPU], ids=['cpu', 'gpu'])
@pytest.mark.parametrize('method', METHODS)
def test_every_method_resolves_with_nothing_but_a_folder(method, machine, folder, tmp_path):
    start = dict(teacher='random') if method.startswith('maskalign') else {}
    start |= dict(init='random') if method.startswith(('leopart', 'neco')) else {}
    found = resolved(method, folder, tmp_path / 'run', machine, **start)
    config = found.config
    assert config.train_dataloader.dataset.data_root == str(folder)
    assert config.train_dataloader.batch_size <= 8  # eight steps of 64 images
    assert config.work_dir == str(tmp_path / 'run')
    decided = {one.name for one in found.decisions.made}
    assert decided >= {'config', 'backbone', 'data', 'views', 'batch', 'lr', 'epochs', 'workers'}
    assert not any(hook['type'] == 'ObjectKNNHook' for hook in config.custom_hooks)
    assert (method.startswith(('soco', 'd3ssl'))) == ('proposals' in decided)


def test_small_network_without_a_gpu_unless_another_is_asked_for(folder, tmp_path):
    assert resolved('ibot-d', folder, tmp_path).config.model.backbone.arch['embed_dims'] == 192
    asked = resolved('ibot-d', folder, tmp_path, backbone='vit-small').config
    assert asked.model.backbone.arch == 'deit-small'
    assert resolved('ibot-d', folder, tmp_path, GPU).config.model.backbone.arch == 'deit-small'


@pytest.mark.parametrize(
    ('method', 'backbone', 'width'), [('ibot', 'vit-tiny', 192), ('densecl', 'resnet18', 512)]
)
def test_another_backbone_of_the_family_fits_its_head(method, backbone, width, folder, tmp_path):
    model = resolved(method, folder, tmp_path, backbone=backbone).config.model
    host = MODELS.build(model)
    part = model.get('neck') or model.head
    assert part.in_channels == width
    assert host.backbone is not None


def test_a_backbone_of_another_family_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match='backbone=resnet50: ibot trains vit-small-p16'):
        resolved('ibot', folder, tmp_path, backbone='resnet50')


@pytest.mark.parametrize(
    ('batch', 'rate'), [(512, 2e-3), (256, 1e-3), (64, 2.5e-4)], ids=lambda value: str(value)
)
def test_the_rate_follows_the_batch_that_is_used(batch, rate, many, tmp_path):
    found = resolved('ibot', many(6090), tmp_path, GPU, batch=batch).config
    assert found.optim_wrapper.optimizer.lr == pytest.approx(rate)  # 1e-3 per 256 images


def test_the_rate_counts_the_images_of_all_processes(many, tmp_path):
    eight = dataclasses.replace(GPU, processes=8)
    found = resolved('ibot', many(118287), tmp_path, eight).config
    assert found.train_dataloader.batch_size == 64
    assert found.optim_wrapper.optimizer.lr == pytest.approx(2e-3)


def test_a_method_that_does_not_scale_its_rate_keeps_it(many, tmp_path):
    found = resolved('leopart', many(6090), tmp_path, GPU, batch=16, init='random')
    assert found.config.optim_wrapper.optimizer.lr == 1e-4
    assert 'does not scale' in said(found, 'lr')


def test_a_typed_rate_stays(many, tmp_path):
    found = resolved('ibot', many(6090), tmp_path, GPU, batch=64, lr=0.5)
    assert found.config.optim_wrapper.optimizer.lr == 0.5


def test_the_device_limits_the_batch(many, tmp_path):
    small = dataclasses.replace(GPU, gpu_memory=24 * GIGA)
    found = resolved('ibot', many(6090), tmp_path, small)
    # 0.85 * 24 GB hold 1 GB and 0.1 GB an image for 194 images: 192 are a multiple of 8.
    assert found.config.train_dataloader.batch_size == 192
    assert '24 GB free on NVIDIA H200' in said(found, 'batch')


def test_more_data_than_published_are_seen_less_often(many, tmp_path):
    config = resolved('ibot', many(118287 * 4), tmp_path, GPU).config
    assert config.train_cfg.max_epochs == 200
    assert config.param_scheduler[0].warmup_epochs == 10
    assert config.model.loss.warmup_epochs == 20  # a tenth, as published


def test_a_short_run_warms_up_for_a_tenth_of_it(many, tmp_path):
    config = resolved('ibot', many(6090), tmp_path, GPU, epochs=5).config
    assert config.train_cfg.max_epochs == 5
    assert config.param_scheduler[0].warmup_epochs == 0.5
    assert config.model.loss.warmup_epochs == 1
    assert config.optim_wrapper['freeze']['epochs'] == 0


def test_epochs_of_a_run_that_counts_iterations(folder, tmp_path):
    config = resolved('ibot-d', folder, tmp_path, epochs=3, batch=16).config
    assert config.train_cfg.max_iters == 12
    assert config.param_scheduler[0].warmup_iters == int(60 / 400 * 12)


def test_the_queue_is_what_the_data_fill_in_whole_steps(many, tmp_path):
    config = resolved('densecl-d', many(6090), tmp_path, GPU).config
    batch = config.train_dataloader.batch_size
    assert config.model.queue_length == 6090 // batch * batch
    d3ssl = resolved('d3ssl', many(6090), tmp_path, GPU, batch=32).config
    assert d3ssl.model.queue_length == 6090 * 8 // 256 * 256  # four boxes of two views


def test_half_precision_where_the_device_computes_in_it(folder, tmp_path):
    wrapper = resolved('densecl', folder, tmp_path, GPU).config.optim_wrapper
    assert (wrapper.type, wrapper.dtype) == ('AmpPerParamClipOptimWrapper', 'bfloat16')
    old = dataclasses.replace(GPU, bf16=False)
    assert resolved('densecl', folder, tmp_path, old).config.optim_wrapper.type == 'OptimWrapper'
    assert resolved('ibot', folder, tmp_path, old).config.optim_wrapper.dtype == 'float16'
    plain = resolved('ibot', folder, tmp_path, backbone='vit-small').config.optim_wrapper
    assert plain.type == 'PerParamClipOptimWrapper'


def test_workers_by_cores(folder, tmp_path):
    assert (
        resolved('ibot', folder, tmp_path, Machine(cores=6)).config.train_dataloader['num_workers']
        == 3
    )
    loader = resolved('ibot', folder, tmp_path, GPU).config.train_dataloader
    assert (loader.num_workers, loader.pin_memory) == (16, True)
    none = resolved('ibot', folder, tmp_path, workers=0).config.train_dataloader
    assert not none.persistent_workers


def test_typed_entries_have_the_last_word(folder, tmp_path):
    found = resolved(
        'densecl-d', folder, tmp_path, **{'model.queue_length': Typed('32'), 'seed': '5'}
    )
    assert found.config.model.queue_length == 32
    assert found.config.randomness.seed == 5
    assert said(found, 'entries').startswith('model.queue_length=32')


def test_an_entry_that_leads_nowhere_is_refused(folder, tmp_path):
    with pytest.raises(
        ValueError, match=r'modle.queue_length=3: neither an option.*is model meant'
    ):
        resolved('densecl', folder, tmp_path, **{'modle.queue_length': Typed('3')})


def test_a_config_file_serves_as_well_as_a_method(folder, tmp_path):
    file = tmp_path / 'mine_vit-micro-p16_2xb16-x_photos.py'
    base = next(
        one.path for one in shipped_configs() if one.method == 'ibot' and one.data == 'coco-mini'
    )
    file.write_text(f'_base_ = {str(base)!r}\ntrain_dataloader = dict(batch_size=16)\n')
    config = resolved(str(file), folder, tmp_path / 'run', batch=8).config
    assert config.optim_wrapper.optimizer.lr == pytest.approx(2e-3 * 8 / 32)
    with pytest.raises(ValueError, match='a config file has its own'):
        resolved(str(file), folder, tmp_path / 'run', backbone='vit-small')


def test_what_was_decided_can_be_read_back(folder, tmp_path):
    found = resolved('ibot', folder, tmp_path)
    for one in found.decisions.made:
        assert f'{one.name:<9}'.strip() in str(found.decisions)
        assert found.config.decisions[one.name] == f'{one.value}: {one.reason}'
