"""Options of the training command, and what a mistake looks like."""

import importlib.util
import os
import time
from pathlib import Path
from unittest import mock

import pytest
import torch
from mmengine.config import Config

from mmdssl.engine.launch import (
    build_runner,
    find_checkpoint,
    prepare_config,
    readable_errors,
    set_precision,
    train,
)
from tests.core.hostile import write_run
from tests.engine.toy import Recorder, toy_config


@pytest.fixture
def config(tmp_path):
    return toy_config(tmp_path / 'run')


def test_work_dir_comes_from_option_config_or_name(tmp_path, config):
    assert prepare_config(config).work_dir == str(tmp_path / 'run')
    assert prepare_config(config, work_dir='else/where').work_dir == 'else/where'
    path = tmp_path / 'ibot_x.py'
    config.pop('work_dir')
    config.dump(path)
    assert prepare_config(Config.fromfile(path)).work_dir == 'work_dirs/ibot_x'


def test_two_runs_that_start_in_one_second_share_no_folder(tmp_path):
    file = tmp_path / 'toy.py'
    config = toy_config(tmp_path)
    config.pop('experiment_name')  # a user's config has none
    config.dump(file)
    with mock.patch('time.localtime', return_value=time.localtime(0)):
        for folder in (tmp_path / 'a', tmp_path / 'b'):
            runner = build_runner(prepare_config(Config.fromfile(file), work_dir=folder))
            assert folder in Path(runner.logger.log_file).parents
            assert [folder] == [
                Path(backend._save_dir).parents[1]
                for backend in runner.visualizer._vis_backends.values()
            ]


def test_no_workers_are_kept_where_there_are_none(config):
    settings = dict(num_workers=0, persistent_workers=True, prefetch_factor=4)
    config.train_dataloader.update(settings)
    kept = {**settings, 'num_workers': 1}
    config.custom_hooks = [dict(type='X', dataloader=dict(settings)), dict(loader=kept)]
    prepare_config(config)
    assert 'persistent_workers' not in config.train_dataloader
    assert config.custom_hooks[0].dataloader == dict(num_workers=0)
    assert config.custom_hooks[1].loader.persistent_workers


def test_seed_replaces_that_of_the_config_and_nothing_else(config):
    config.randomness = dict(seed=3, diff_rank_seed=True)
    assert prepare_config(config, seed=7).randomness == dict(seed=7, diff_rank_seed=True)


@pytest.mark.parametrize(('amp', 'dtype'), [('bf16', 'bfloat16'), ('fp16', 'float16')])
def test_amp_switches_wrapper_and_keeps_its_settings(config, amp, dtype):
    before = dict(config.optim_wrapper)
    wrapper = prepare_config(config, amp=amp).optim_wrapper
    assert (wrapper.pop('type'), wrapper.pop('dtype')) == ('AmpPerParamClipOptimWrapper', dtype)
    before.pop('type')
    assert wrapper == before


def test_amp_can_be_switched_off_and_chosen_by_device(config):
    set_precision(config, 'fp16')
    config.optim_wrapper.loss_scale = 'dynamic'
    set_precision(config, 'off')
    assert config.optim_wrapper.type == 'PerParamClipOptimWrapper'
    assert not {'dtype', 'loss_scale'} & set(config.optim_wrapper)
    set_precision(config, 'auto')
    if not torch.cuda.is_available():
        assert config.optim_wrapper.dtype == 'bfloat16'


def test_resume_auto_takes_the_newest_checkpoint_also_of_a_moved_folder(tmp_path, config, capsys):
    folder = tmp_path / 'run'
    fresh = prepare_config(config, resume='auto')
    assert fresh.resume is False
    assert 'a new run starts' in capsys.readouterr().err
    folder.mkdir()
    (folder / 'last_checkpoint').write_text('/somewhere/else/run/epoch_3.pth')
    with pytest.raises(ValueError, match=r'/somewhere/else/run/epoch_3\.pth, which does not exist'):
        prepare_config(config, resume='auto')
    write_run(folder / 'epoch_3.pth', 9)
    resumed = prepare_config(config, resume='auto')
    assert (resumed.resume, resumed.load_from) == (True, str(folder / 'epoch_3.pth'))


def test_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no checkpoint at nowhere\.pth'):
        find_checkpoint(tmp_path, 'nowhere.pth')


@pytest.mark.parametrize('installed', [True, False])
def test_tensorboard_is_used_where_installed(config, monkeypatch, installed):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: installed or None)
    local = dict(type='LocalVisBackend')
    config.visualizer = dict(type='Visualizer', vis_backends=[local])
    prepare_config(config)
    want = [local, dict(type='TensorboardVisBackend')] if installed else [local]
    assert config.visualizer.vis_backends == want
    prepare_config(config)
    assert config.visualizer.vis_backends == want


def test_tensorboard_that_is_asked_for_and_missing_is_an_error(config, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    config.visualizer = dict(type='Visualizer', vis_backends=[dict(type='TensorboardVisBackend')])
    with pytest.raises(ValueError, match='pip install tensorboard'):
        prepare_config(config)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model=dict(_delete_=True, type='IBOTT')), 'IBOTT is not in the'),
        (dict(optim_wrapper=dict(freeze=dict(keys=('head',)))), "lies under 'head'"),
        (dict(train_dataloader=dict(dataset=dict(lenght=3))), 'lenght'),
    ],
)
def test_mistakes_in_a_config_end_with_one_message(config, capsys, change, message):
    if 'model' in change:
        config.model = dict(type='IBOTT')
    else:
        config.merge_from_dict(change)
    with pytest.raises(SystemExit) as stopped, readable_errors():
        build_runner(config)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error


def test_what_is_not_a_training_config_is_refused():
    with pytest.raises(ValueError, match='no train_dataloader'):
        prepare_config(Config(dict(model=dict(type='ToyHost'))))


def test_faults_of_the_code_keep_their_traceback(monkeypatch):
    with pytest.raises(RuntimeError, match='bug'), readable_errors():
        raise RuntimeError('bug')
    with pytest.raises(ValueError, match='late'), readable_errors(lambda: False):
        raise ValueError('late')
    monkeypatch.setitem(os.environ, 'MMDSSL_TRACEBACK', '1')
    with pytest.raises(ValueError, match='shown'), readable_errors():
        raise ValueError('shown')


def test_data_that_the_model_cannot_use_are_refused_when_built(config, monkeypatch):
    from tests.engine.toy import ToyHost

    def refuse(self, *, batch_size, num_images):
        raise ValueError(f'a batch of {batch_size} of {num_images} images is too small')

    monkeypatch.setattr(ToyHost, 'check_data', refuse, raising=False)
    with pytest.raises(ValueError, match='a batch of 4 of 12 images is too small'):
        build_runner(config)


def test_a_last_batch_that_is_smaller_is_refused_where_only_whole_ones_work(config, monkeypatch):
    from tests.engine.toy import ToyHost

    monkeypatch.setattr(ToyHost, 'requires_drop_last', True, raising=False)
    with pytest.raises(ValueError, match='set drop_last=True'):
        build_runner(config)
    config.train_dataloader.update(drop_last=True)
    build_runner(config)


def test_data_too_few_for_a_batch_are_named(config):
    config.train_dataloader.update(drop_last=True, batch_size=13)
    with pytest.raises(ValueError, match=r'12 images .* one batch of 13'):
        build_runner(config)


@pytest.fixture
def group(tmp_path):
    """A process group of this process alone."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/rendezvous', rank=0, world_size=1
    )
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def test_a_mistake_ends_communication_before_the_process(group, capsys):
    """Else gloo may abort the process on its way out, and the launcher reports SIGABRT."""
    with pytest.raises(SystemExit) as stopped, readable_errors():
        raise ValueError('wrong')
    assert stopped.value.code == 2
    assert not torch.distributed.is_initialized()


def test_an_error_in_training_ends_communication_and_keeps_its_traceback(group, config):
    runner = build_runner(config)
    runner.register_hook(Recorder(at=1, action=lambda runner: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        train(runner)
    assert not torch.distributed.is_initialized()
