"""``mmdssl pretrain``: a folder becomes a run, which goes on, is kept apart, and gives features."""

import json
import re
import subprocess
import sys

import pytest
import torch

import mmdssl
from mmdssl.cli.pretrain import main, pretrain
from mmdssl.engine.config import load_config
from mmdssl.engine.pretraining.catalogue import known_methods
from tests.commands import tool
from tests.engine.pretraining.photos import photos

# One block, 96 px: seconds.
SMALL = {
    'views.size': 96,
    'workers': 0,
    'model.backbone.arch': dict(embed_dims=64, num_layers=1, num_heads=1, feedforward_channels=64),
    'model.head.in_channels': 64,
}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return photos(tmp_path_factory.mktemp('data') / 'my photos, 007', 16)


@pytest.fixture(scope='module')
def run(tmp_path_factory, data):
    """Folder and last checkpoint of a run of two steps; to resume nothing is to begin."""
    out = tmp_path_factory.mktemp('out') / 'run'
    return out, pretrain('ibot-d', data=data, out=out, epochs=1, resume=True, **SMALL)


def test_a_folder_of_photos_becomes_a_checkpoint(run, data):
    out, checkpoint = run
    assert checkpoint == out / 'iter_2.pth'
    assert checkpoint.is_file()
    config = load_config(out / 'config.py')
    assert config.train_dataloader.dataset.data_root == str(data)
    assert config.decisions.lr == '0.0005: 0.002 at 32 images a step, in proportion to 8'
    record = json.loads((out / 'pretrain.json').read_text())
    assert record['method'] == 'ibot-d'
    assert record['asked']['epochs'] == 1


def test_its_features_come_by_the_folder(run):
    out, checkpoint = run
    maps, vectors = mmdssl.features(
        mmdssl.load_backbone(out), torch.zeros(1, 3, 96, 96, dtype=torch.uint8)
    )
    assert maps.shape == (1, 64, 6, 6)
    assert vectors.shape == (1, 64)
    kept = torch.load(checkpoint, weights_only=True)['state_dict']
    loaded = mmdssl.load_backbone(out, device='cpu').backbone.state_dict()
    assert torch.equal(loaded['cls_token'], kept['teacher.backbone.cls_token'])


def test_a_folder_with_a_run_is_not_overwritten(run, data, capsys):
    out, _ = run
    with pytest.raises(SystemExit) as stop:
        main(['ibot-d', f'data={data}', f'out={out}', 'epochs=1'])
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f'{out} holds a run' in error
    assert 'resume=true' in error
    assert '--' not in error


def test_a_finished_run_goes_on_to_its_end(run, data, capsys):
    out, checkpoint = run
    again = pretrain('ibot-d', data=data, out=out, epochs=1, resume=True, **SMALL)
    assert again == checkpoint
    assert 'goes on with the settings of' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (dict(batch=4), 'batch not given, and 4 is asked for'),
        (dict(epochs=2), 'epochs 1, and 2 is asked for'),
        ({'model.momentum': (0.9, 1.0)}, 'entry model.momentum not given'),
    ],
)
def test_a_resumed_run_stays_the_run_it_was(run, data, change, sentence):
    out, _ = run
    asked = {'epochs': 1, **SMALL, **change}
    with pytest.raises(ValueError, match=sentence.replace('(', r'\(')):
        pretrain('ibot-d', data=data, out=out, resume=True, **asked)


def test_a_dry_run_trains_nothing(tmp_path, data, monkeypatch):
    from mmdssl.engine import dry_run

    seen = []
    monkeypatch.setattr(dry_run, 'dry_run', lambda config: seen.append(config) or 'a report')
    assert pretrain('ibot', data=data, out=tmp_path / 'r', dry_run=True) == 'a report'
    assert seen[0].work_dir == str(tmp_path / 'r')
    assert not (tmp_path / 'r').exists()


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['ibot-d', '--data', 'x'], "'--data' is not KEY=VALUE"),
        (['ibot-d', 'data='], 'data is empty: is a variable not set?'),
        (['ibot-d', 'data=x', 'data=y'], 'data is given twice'),
        (['ibto', 'data=x', 'out=y'], "no method 'ibto' (is ibot meant?)"),
        (['ibot', 'data=/nowhere', 'out=y'], 'data=/nowhere does not exist'),
        (['', 'data=x', 'out=y'], 'the method is empty'),
        (['nix.py', 'out=y'], 'no config file nix.py'),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert sentence in error[-1]
    assert error[-1].startswith('error: ')


def test_the_help_names_methods_and_options(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert set(known_methods()) <= set(re.split(r'[,\s]+', shown))  # none broken at a hyphen
    assert 'views.size' in shown
    assert 'resume=true' in shown


def test_neither_the_package_nor_the_help_loads_torch():
    code = (
        'import sys, mmdssl; from mmdssl.cli.pretrain import main; main([]); '
        'assert not {"torch", "mmengine"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)


@pytest.mark.slow
def test_shards_make_the_run_of_their_folder(run, data, tmp_path):
    """Same order, same views, same weights."""
    tool('shards', 'make', data, tmp_path / 'shards', '--size', '20KB')
    found = pretrain('ibot-d', data=tmp_path / 'shards', out=tmp_path / 'run', epochs=1, **SMALL)
    one, other = (torch.load(file, weights_only=True)['state_dict'] for file in (run[1], found))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
