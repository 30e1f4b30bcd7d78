"""A line of the log tells how fast a run goes; mmengine's pages stay in the file."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdssl.engine.hooks import step_timer
from mmdssl.engine.hooks.step_timer import StepTimerHook, paused
from mmdssl.engine.local_runner import local_runner
from mmdssl.engine.throughput import marks
from mmdssl.registry import DATASETS, MODELS
from tests.engine.toy import ToyHost, ToyImages, toy_config

TIME = SimpleNamespace(now=0.0)  # moves when an image is loaded and when a step is computed


@DATASETS.register_module()
class TimedImages(ToyImages):
    def __getitem__(self, index):
        TIME.now += 0.0025
        return super().__getitem__(index)


@MODELS.register_module()
class TimedHost(ToyHost):
    def forward(self, *args, **kwargs):
        TIME.now += 0.03
        return super().forward(*args, **kwargs)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The log of a run of 12 iterations of 4 images, as a terminal shows it, and its curves."""
    clock = SimpleNamespace(perf_counter=lambda: TIME.now)
    monkeypatch.setattr(marks, 'time', clock)
    monkeypatch.setattr(step_timer, 'time', clock)

    def go(hook=None, **changes):
        config = toy_config(
            tmp_path / 'run',
            **{
                'model.type': 'TimedHost',
                'train_dataloader.dataset.type': 'TimedImages',
                'default_hooks.timer': dict(type='StepTimerHook'),
                'default_hooks.logger.interval': 3,
                'log_processor.type': 'TrainingLog',
                'log_level': 'INFO',
                **changes,
            },
        )
        runner = local_runner(config)
        if hook is not None:
            runner.register_hook(hook)
        runner.train()
        curves = next(Path(runner.work_dir).rglob('scalars.json')).read_text().splitlines()
        file = Path(runner.logger.log_file).read_text()
        return capsys.readouterr().out, [json.loads(line) for line in curves], file

    return go


def test_speed_waiting_and_time_left_are_told(run):
    shown, curves, _ = run()
    lines = [line for line in shown.splitlines() if 'Epoch(train)' in line]
    assert len(lines) == 4
    # 0.01 s for a batch of 4, and 0.03 s for the step: 100 images/s, a quarter of it waiting.
    assert all('100 images/s  25% waiting for data' in line for line in lines)
    assert [re.search(r'0:00:\d\d left', line) is not None for line in lines] == [True] * 4
    assert curves[-1]['images_per_second'] == pytest.approx(100)
    assert curves[-1]['waiting_for_data'] == pytest.approx(0.25)
    assert curves[-1]['data_time'] == pytest.approx(0.01)
    assert curves[0]['seconds_left'] == pytest.approx(9 * 0.04)
    assert curves[-1]['seconds_left'] == 0


def test_evaluations_and_checkpoints_count_in_the_time_left_alone(run):
    class Evaluates(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter % 2:
                with paused(runner):
                    TIME.now += 10

    _, curves, _ = run(Evaluates())
    assert {round(one['images_per_second']) for one in curves} == {100}
    assert curves[1]['seconds_left'] > 20


def test_utilisation_where_the_peak_is_known(run):
    class Knows(Hook):
        def before_train(self, runner):
            timer = next(hook for hook in runner.hooks if isinstance(hook, StepTimerHook))
            timer._flops, timer._peak = 1e9, 1e12

    shown, curves, _ = run(Knows())
    assert 'MFU 10.0%' in shown  # 100 images/s of 1 GFLOP, of 1 TFLOP/s
    assert curves[-1]['mfu'] == pytest.approx(0.1)


def test_operations_are_counted_where_the_device_is_known(run, monkeypatch):
    seen = []

    class Counts(Hook):
        def before_train(self, runner):
            timer = next(hook for hook in runner.hooks if isinstance(hook, StepTimerHook))
            timer._count(runner)
            seen.append((timer._flops, timer._peak))

    monkeypatch.setattr(step_timer.torch.cuda, 'get_device_name', lambda: 'NVIDIA A100-SXM4-40GB')
    shown, _, _ = run(Counts())
    # Student 4 x 4 and 4 x 3, forward, gradients of the weights and of one input; teacher 4 x 3.
    assert seen == [(2 * (2 * 4 * 4 + 3 * 4 * 3 + 4 * 3), 19.5e12)]
    assert 'MFU 0.0%' in shown


def test_pages_of_environment_and_hooks_are_in_the_file_only(run):
    shown, _, file = run()
    for page in ('System environment:', 'Config:\n', 'Hooks will be executed'):
        assert page in file
        assert page not in shown
    assert 'environment, config and hooks:' in shown


def test_other_log_processors_and_timers_still_work(tmp_path):
    config = toy_config(tmp_path, **{'default_hooks.timer': dict(type='StepTimerHook')})
    Runner.from_cfg(config).train()
