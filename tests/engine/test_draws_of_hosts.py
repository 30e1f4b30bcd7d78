"""Loader workers and resuming change no bit of a training, whatever is trained."""

from pathlib import Path

import pytest

from tests.engine.hosts import FINE_TUNED, HOSTS, equal, run, write_data

NONE = dict(num_workers=0, persistent_workers=False)
WORKERS = {
    'none': NONE,
    'one': dict(num_workers=1, persistent_workers=False),
    'two': dict(num_workers=2, persistent_workers=False),
    'two-persistent': dict(num_workers=2, persistent_workers=True, prefetch_factor=3),
}
QUICK = ('ibot-d', 'linear-probe')


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp('scenes'))


def host(name: str, *, slow: bool):
    if name in FINE_TUNED:
        pytest.importorskip('mmcv._ext', reason='mmdet and mmseg need compiled ops')
    return pytest.param(name, marks=[pytest.mark.slow] if slow else [])


def compare(name: str, data: Path, folder: Path, workers: dict, *, by_epoch: bool) -> dict:
    """A run with ``workers`` and its continuation from within the second pass, against none."""
    plain = run(name, data, folder / 'plain', by_epoch=by_epoch, **NONE)
    straight = run(name, data, folder / 'straight', by_epoch=by_epoch, **workers)
    middle = folder / 'straight/iter_4.pth'
    resumed = run(name, data, folder / 'resumed', by_epoch=by_epoch, resume=middle, **workers)
    return {'workers': equal(plain, straight), 'resumed': equal(straight, resumed)}


@pytest.mark.parametrize('name', [host(name, slow=False) for name in QUICK])
def test_persistent_workers_and_a_resume_change_nothing(name, data, tmp_path):
    by_epoch = name not in FINE_TUNED
    found = compare(name, data, tmp_path, WORKERS['two-persistent'], by_epoch=by_epoch)
    assert found == {'workers': True, 'resumed': True}


@pytest.mark.parametrize('by_epoch', [False, True], ids=['iterations', 'epochs'])
@pytest.mark.parametrize('workers', WORKERS)
@pytest.mark.parametrize('name', [host(name, slow=True) for name in (*HOSTS, *FINE_TUNED)])
def test_no_workers_and_no_resume_change_anything(name, workers, by_epoch, data, tmp_path):
    found = compare(name, data, tmp_path, WORKERS[workers], by_epoch=by_epoch)
    assert found == {'workers': True, 'resumed': True}
