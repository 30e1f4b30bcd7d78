"""The rehearsal of a run: its numbers, and that it leaves nothing but a report."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import nn

from mmdssl.engine.dry_run import dry_run
from mmdssl.registry import DATASETS, MODELS
from tests.engine.toy import ToyHost, ToyImages, toy_config

CLOCK = SimpleNamespace(now=0.0)  # moves when an image is loaded and when a step is computed


@DATASETS.register_module()
class SlowImages(ToyImages):
    def __getitem__(self, index):
        CLOCK.now += 0.01
        return super().__getitem__(index)


@MODELS.register_module()
class SlowHost(ToyHost):
    def forward(self, *args, **kwargs):
        CLOCK.now += 0.04
        return super().forward(*args, **kwargs)


@pytest.fixture
def clock(monkeypatch):
    """A machine that is as fast as its classes say, however busy the real one is."""
    monkeypatch.setattr(
        'mmdssl.engine.dry_run.time', SimpleNamespace(perf_counter=lambda: CLOCK.now)
    )


@pytest.fixture
def drawn(monkeypatch):
    """Records what is drawn instead of drawing it: the toy batch has no views."""
    from mmdssl.visualization import views

    calls = []
    monkeypatch.setattr(views, 'draw_batch', lambda *args, **kwargs: calls.append((args, kwargs)))
    return calls


def slow(tmp_path, **changes):
    return toy_config(
        tmp_path / 'run',
        **{
            'model.type': 'SlowHost',
            'train_dataloader.dataset.type': 'SlowImages',
            'train_dataloader.dataset.length': 200,
            **changes,
        },
    )


@pytest.mark.parametrize(
    'changes',
    [{}, {'train_dataloader.sampler.type': 'InfiniteSampler'}],
    ids=['epochs', 'infinite'],
)
def test_numbers_follow_from_the_time_of_a_step_and_of_an_image(tmp_path, drawn, clock, changes):
    report = dry_run(slow(tmp_path, **changes), steps=8)
    # Four images of 10 ms, then a step of 40 ms.
    assert report.measured == 8
    assert report.seconds_per_iteration == pytest.approx(0.08)
    assert report.images_per_second == pytest.approx(50)
    assert report.loader_share == pytest.approx(0.5)
    assert report.loader_images_per_second == pytest.approx(100)
    assert (report.iterations, report.images_per_batch) == (200, 4)
    assert report.hours == pytest.approx(200 * report.seconds_per_iteration / 3600)
    assert report.hours_on.keys() == {1, 8, 64}
    assert report.hours_on[1] == pytest.approx(report.hours)
    assert report.hours_on[8] == pytest.approx(report.hours / 8, rel=1e-3)
    assert '64: 0.00 h' in str(report)
    assert 0.1 < report.memory_gb < 20
    assert 'images/s' in str(report)


def test_only_report_and_picture_are_left(tmp_path, drawn):
    config = slow(tmp_path)
    before = config.to_dict()
    report = dry_run(config, steps=2)
    left = [path for path in (tmp_path / 'run').rglob('*') if path.is_file()]
    assert left == [tmp_path / 'run/dry_run/report.json']
    assert json.loads(left[0].read_text())['measured'] == report.measured == 2
    assert config.to_dict() == before
    ((batch, preprocessor, path), options) = drawn[0]
    assert batch['inputs'].shape == (4, 4)
    assert isinstance(preprocessor, nn.Module)
    assert path == Path(report.picture) == tmp_path / 'run/dry_run/batch.png'
    assert options == dict(branch=None, compose=None)


def test_time_limit_ends_the_measuring(tmp_path, drawn, clock):
    report = dry_run(slow(tmp_path), steps=1000, seconds=0.5)
    assert 2 <= report.measured < 20


def test_run_shorter_than_the_rehearsal(tmp_path, drawn):
    short = {'train_dataloader.dataset.length': 4}
    report = dry_run(slow(tmp_path, **short, **{'train_cfg.max_epochs': 2}))
    assert (report.measured, report.iterations) == (1, 2)


def test_workers_are_counted(tmp_path, drawn):
    report = dry_run(slow(tmp_path, **{'train_dataloader.num_workers': 2}), steps=6)
    assert report.workers_memory_gb > 0.1


def test_failure_is_not_hidden(tmp_path, drawn, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('out of memory')

    monkeypatch.setattr(SlowHost, 'forward', fail)
    with pytest.raises(RuntimeError, match='out of memory'):
        dry_run(slow(tmp_path))
    assert not (tmp_path / 'run').exists()
