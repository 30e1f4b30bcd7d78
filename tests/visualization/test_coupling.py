"""The coupling figures take one or several networks and refuse nothing at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmdssl.visualization.coupling import (
    draw_coupling_against,
    draw_coupling_by_layer,
    draw_coupling_curves,
    draw_coupling_histogram,
)
from tests.visualization.drawn import differ, drawn

RATIOS = tuple(number / 10 for number in range(10))


def pairs(slope: float, count: int = 50) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = np.zeros((count, 10, 5))
    values[..., 0] = 1 + slope * np.array(RATIOS) ** 2 + 0.3 * rng.normal(size=(count, 10))
    values[..., 1] = 1 + slope / 3 * np.array(RATIOS) + 0.1 * rng.normal(size=(count, 10))
    values[..., 2] = rng.random((count, 10)) < 0.1
    return values


def test_curves_of_networks_share_a_figure(tmp_path: Path):
    values = {'iBOT': pairs(1.5), 'iBOT-D': pairs(0.5), 'random': pairs(0.1)}
    path = draw_coupling_curves(values, RATIOS, tmp_path / 'new' / 'cr.png', title='scenes')
    shown = drawn(path, width=800, height=250)
    steeper = {**values, 'iBOT': pairs(2.5)}
    again = draw_coupling_curves(steeper, RATIOS, tmp_path / 'b.png', title='scenes')
    assert differ(shown, drawn(again, width=800, height=250))
    draw_coupling_curves({'one': pairs(1, count=1)}, RATIOS, tmp_path / 'one.png')


def test_networks_with_different_layers_share_a_figure(tmp_path: Path):
    layers = {f'C{i}': pairs(0.3 * i)[..., 0] for i in range(2, 6)}
    other = {'C2': pairs(0.2)[..., 0], 'C5': pairs(0.4)[:, 0, 0]}
    both = draw_coupling_by_layer({'a': layers, 'b': other}, tmp_path / 'cr.png')
    alone = draw_coupling_by_layer({'a': layers}, tmp_path / 'one.png')
    pictures = [drawn(path, width=400, height=250) for path in (both, alone)]
    assert differ(*pictures)


def test_histograms_share_their_bins(tmp_path: Path):
    rng = np.random.default_rng(0)
    values = {'iBOT': rng.beta(2, 8, 400), 'iBOT-D': rng.beta(1.2, 20, 400)}
    path = draw_coupling_histogram(values, tmp_path / 'h.png', title='intra')
    moved = {**values, 'iBOT': values['iBOT'] + 0.3}
    other = draw_coupling_histogram(moved, tmp_path / 'm.png', title='intra')
    assert differ(drawn(path, width=400, height=250), drawn(other, width=400, height=250))
    draw_coupling_histogram({'none at all': np.zeros(3)}, tmp_path / 'zero.png')


def test_settings_are_numbers_or_names(tmp_path: Path):
    numbers = {'iBOT': {0.5: (1.4, 0.03), 0.1: (1.1, 0.02)}, 'SoCo': {0.3: (1.1, 0.01)}}
    path = draw_coupling_against(numbers, tmp_path / 'n.png', xlabel='mask ratio')
    drawn(path, width=400, height=250)
    names = {'DenseCL': {'S-T': (1.2, 0.03), '@2': (1.3, 0.02), 'random': (1.8, 0.1)}}
    path = draw_coupling_against(names, tmp_path / 's.png', xlabel='aligning')
    drawn(path, width=400, height=250)


@pytest.mark.parametrize(
    'draw',
    [
        lambda path: draw_coupling_curves({}, RATIOS, path),
        lambda path: draw_coupling_by_layer({}, path),
        lambda path: draw_coupling_histogram({}, path),
        lambda path: draw_coupling_against({}, path, xlabel='mask ratio'),
    ],
)
def test_nothing_to_draw_is_an_error(draw: Callable[[Path], Path], tmp_path: Path):
    with pytest.raises(ValueError, match='no values'):
        draw(tmp_path / 'none.png')
