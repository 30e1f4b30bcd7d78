"""Loggers: one word adds mmengine's backend, curves reach it, a missing package is a sentence."""

import importlib.machinery
import sys
from types import ModuleType

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from mmdssl.cli.arguments import add_log
from mmdssl.engine.command_line import CommandLine
from mmdssl.engine.launch import prepare_config
from mmdssl.engine.loggers import LOGGERS, add_logger, check_loggers
from mmdssl.engine.pretraining import request
from tests.engine.pretraining.photos import photos, resolved


class Package(ModuleType):
    """A logger's package that writes down what it is asked for."""

    def __init__(self, name):
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.calls = []

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)

        def called(*words, **named):
            self.calls.append((name, words, named))
            return self

        if name in ('config', 'run', 'Task'):
            return self
        return called


@pytest.fixture
def fake(monkeypatch):
    def install(name):
        package = Package(name)
        monkeypatch.setitem(sys.modules, name, package)
        return package

    return install


def config_of(tmp_path, **entries):
    parts = dict(model={}, train_dataloader={}, train_cfg={}, optim_wrapper={})
    return Config(dict(parts, work_dir=str(tmp_path / 'my-run'), **entries))


def curve_of(config, name):
    """Build the visualizer of a config and log a number and the config."""
    with DefaultScope.overwrite_default_scope('mmdssl'):
        visualizer = Visualizer(
            name=f'of {name}', save_dir=config.work_dir, vis_backends=config.visualizer.vis_backends
        )
    visualizer.add_config(Config(dict(rate=0.1, work_dir=config.work_dir)))
    visualizer.add_scalars({'loss': 0.5}, step=3)
    visualizer.close()


@pytest.mark.parametrize('name', ['wandb', 'mlflow', 'clearml'])
def test_curves_reach_the_logger(tmp_path, fake, monkeypatch, name):
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    package = fake(name)
    local = dict(type='LocalVisBackend')
    config = prepare_config(
        config_of(tmp_path, visualizer=dict(type='Visualizer', vis_backends=[local])), log=name
    )
    backend = next(b for b in config.visualizer.vis_backends if b['type'] == LOGGERS[name][0])
    curve_of(config, name)
    said = repr(package.calls)
    assert 'mmdssl' in said  # the project
    assert 'my-run' in said
    assert "'loss'" in said
    assert 'rate' in said
    if name == 'mlflow':  # files, mmengine's default, are refused by MLflow 3
        assert backend['tracking_uri'] == f'sqlite:///{tmp_path}/my-run/mlflow.db'
        assert backend['artifact_location'] == f'{tmp_path}/my-run/mlflow'  # not where it runs
        assert ('set_tracking_uri', (backend['tracking_uri'],), {}) in package.calls
    if name == 'wandb':
        assert backend['init_kwargs']['id'] in said
        assert backend['init_kwargs']['resume'] == 'allow'


def test_a_server_of_mlflow_keeps_its_own_place(tmp_path, fake, monkeypatch):
    fake('mlflow')
    monkeypatch.setenv('MLFLOW_TRACKING_URI', 'http://tracking:5000')
    config = config_of(tmp_path)
    add_logger(config, 'mlflow', config.work_dir)
    (backend,) = config.visualizer.vis_backends
    assert backend['tracking_uri'] == 'http://tracking:5000'
    assert 'artifact_location' not in backend


def test_one_of_the_config_keeps_its_settings(tmp_path, fake):
    fake('wandb')
    own = dict(type='WandbVisBackend', init_kwargs=dict(project='mine'))
    config = config_of(tmp_path, visualizer=dict(type='Visualizer', vis_backends=[own]))
    add_logger(config, 'wandb', config.work_dir)
    assert config.visualizer.vis_backends == [own]
    config = config_of(tmp_path)
    add_logger(config, 'wandb', config.work_dir)  # a config without any visualizer
    assert config.visualizer.type == 'Visualizer'


@pytest.mark.parametrize('name', ['wandb', 'mlflow', 'clearml'])
def test_a_missing_package_is_said_before_anything_runs(tmp_path, monkeypatch, name):
    monkeypatch.setattr('mmdssl.engine.loggers._installed', lambda package: False)
    sentence = f'{LOGGERS[name][0]} needs {name}, which is not installed: pip install {name}'
    with pytest.raises(ValueError, match=sentence):
        resolved('ibot', tmp_path / 'no folder', tmp_path / 'run', log=name)
    for kind in (LOGGERS[name][0], f'mmengine.{LOGGERS[name][0]}'):
        asked = dict(type='Visualizer', vis_backends=[dict(type=kind)])
        with pytest.raises(ValueError, match=sentence):
            check_loggers(config_of(tmp_path, visualizer=asked))


def test_the_option_is_decided_once_and_kept(tmp_path, fake):
    fake('wandb')
    found = resolved('ibot', photos(tmp_path / 'p'), tmp_path / 'run', log='wandb').config
    backend = found.visualizer.vis_backends[-1]
    assert backend['init_kwargs']['name'] == 'run'
    assert found.decisions['log'] == 'wandb: as asked for, besides the folder of the run'
    with pytest.raises(ValueError, match='give one of tensorboard, wandb, mlflow, clearml'):
        resolved('ibot', tmp_path / 'p', tmp_path / 'run', log='neptune')


def test_every_door_knows_the_same_loggers():
    parser = CommandLine()
    add_log(parser)
    action = next(one for one in parser._actions if one.dest == 'log')
    assert tuple(action.choices) == request._LOGGERS == tuple(LOGGERS)
