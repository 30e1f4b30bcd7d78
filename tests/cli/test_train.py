"""``mmdssl train`` as a user runs it: train, stop, resume, several processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.commands import run_command
from tests.engine.toy import toy_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config(tmp_path):
    """Path of a config file of the toy host; the package of tests is its project."""
    settings = toy_config(tmp_path / 'run')
    settings.custom_imports = dict(imports=['tests.engine.toy'])
    settings.log_level = 'INFO'
    path = tmp_path / 'toy.py'
    settings.dump(path)
    return path


def main(*arguments):
    return run_command('train', *arguments)


def environment():
    return {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}


def test_train_then_resume_for_longer(tmp_path, config):
    result = subprocess.run(
        [sys.executable, ROOT / 'tools/train.py', config, '--amp', 'bf16', '--seed', '5'],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    first = torch.load(tmp_path / 'run/epoch_4.pth', weights_only=True)
    assert first['meta']['seed'] == 5

    main(config, '--amp', 'bf16', '--resume', '--cfg-options', 'train_cfg.max_epochs=5')
    second = torch.load(tmp_path / 'run/epoch_5.pth', weights_only=True)
    assert (second['meta']['epoch'], second['meta']['iter']) == (5, 15)
    assert second['meta']['seed'] == 5
    losses = second['message_hub']['log_scalars']['train/loss']['values']
    assert torch.equal(losses[:12], first['message_hub']['log_scalars']['train/loss']['values'])
    assert len(losses) == 15


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere.py'], r'nowhere\.py'),
        (['CONFIG', '--resume', 'nowhere.pth'], r'no checkpoint at nowhere\.pth'),
        (['CONFIG', '--cfg-options', 'model.type=Toy'], r'Toy is not in the'),
        (['CONFIG', '--cfg-options', 'model.widht=3'], r'widht'),
    ],
)
def test_mistakes_are_told_in_one_message(config, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(*(str(config) if word == 'CONFIG' else word for word in arguments))
    assert stopped.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.slow
def test_two_processes_stop_together_and_each_continues_its_draws(tmp_path, config):
    text = config.read_text()
    # The second process asks to stop, in iteration 4; the first learns it from it.
    config.write_text(
        text.replace(
            "'tests.engine.toy'", "'tests.engine.toy', 'tests.engine.stop_second'"
        ).replace('custom_hooks = [', "custom_hooks = [dict(type='StopSecondProcess', at=1),")
    )
    command = ['bash', ROOT / 'tools/dist_train.sh', config, '2']
    options = ['--cfg-options', 'train_dataloader.batch_size=2', 'randomness.diff_rank_seed=True']
    stopped = run(command, options, tmp_path)
    assert 'SIGTERM: stopped after iteration 2 of 12' in stopped.stdout + stopped.stderr
    checkpoint = torch.load(tmp_path / 'run/interrupted.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 2

    config.write_text(text)
    resumed = run(command, ['--resume', *options], tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    straight = run([*command, '--work-dir', tmp_path / 'straight'], options, tmp_path)
    assert straight.returncode == 0, straight.stderr
    ours = torch.load(tmp_path / 'run/epoch_4.pth', weights_only=True)['state_dict']
    theirs = torch.load(tmp_path / 'straight/epoch_4.pth', weights_only=True)['state_dict']
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def run(command, options, folder):
    return subprocess.run(
        [*command, *options],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=300,
    )
