"""The golden numbers that travel with the project: all of them, small enough, and found."""

import re

import numpy as np
import pytest

from tests.reference import ROOT, find_reference

FOLDER = ROOT / 'tests/golden'
FOLDERS = ('golden', 'golden2', 'golden3')


def test_every_golden_file_that_a_test_names_travels_and_is_described():
    named = set()
    for path in (ROOT / 'tests').rglob('*.py'):
        named |= set(re.findall(r"'(golden\d*/[\w.]+\.(?:npz|json))'", path.read_text()))
    assert len(named) > 8
    assert {name for name in named if not (FOLDER / name.partition('/')[2]).is_file()} == set()
    table = (FOLDER / 'README.md').read_text()
    assert {p.name for p in FOLDER.iterdir() if f'`{p.name}`' not in table} == {'README.md'}


def test_the_golden_files_are_small():
    """Everybody who clones the project loads them."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 12_000_000


def test_a_named_folder_comes_first_and_lacks_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv('MMDSSL_SHARED', str(tmp_path))
    assert find_reference('golden/schedules.npz') == FOLDER / 'schedules.npz'
    assert find_reference('coco_mini') is None
    (tmp_path / 'golden').mkdir()
    (tmp_path / 'golden/schedules.npz').write_bytes(b'other numbers')
    assert find_reference('golden/schedules.npz') == tmp_path / 'golden/schedules.npz'
    assert find_reference('golden/leopart.npz') == FOLDER / 'leopart.npz'
    assert find_reference('golden3/gram_loss.npz') == FOLDER / 'gram_loss.npz'


def test_the_travelling_numbers_are_the_whole_ones(monkeypatch):
    """Bit for bit, where a folder of the original files is at hand."""
    monkeypatch.setattr('tests.reference.os.environ', {})
    for path in sorted(FOLDER.glob('*.npz')):
        found = [find_reference(f'{folder}/{path.name}') for folder in FOLDERS]
        whole = next((one for one in found if one != path), None)
        if whole is None:
            pytest.skip('no original files beside the checkout')
        with np.load(path) as here, np.load(whole) as there:
            assert set(here.files) <= set(there.files)
            for name in here.files:
                assert here[name].dtype == there[name].dtype, (path.name, name)
                np.testing.assert_array_equal(here[name], there[name], f'{path.name} {name}')
