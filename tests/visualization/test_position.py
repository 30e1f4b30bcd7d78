"""The MCS figure takes networks with different layers and refuses nothing at all."""

import numpy as np
import pytest

from mmdssl.visualization.position import draw_position
from tests.visualization.drawn import differ, drawn


def test_networks_with_different_layers_share_a_figure(tmp_path):
    generator = np.random.default_rng(0)

    def cosines(level: float) -> np.ndarray:
        return level + 0.02 * generator.normal(size=(12, 8))

    values = {
        'random': {f'C{i}': cosines(0.99) for i in range(2, 6)},
        'iBOT': {'C2': cosines(0.95), 'C5': cosines(0.7), 'last': cosines(0.6)},
    }
    path = draw_position(values, tmp_path / 'new' / 'mcs.png', title='MCS')
    shown = drawn(path, width=400, height=250)
    values['iBOT']['C5'] -= 0.4
    other = draw_position(values, tmp_path / 'other.png', title='MCS')
    assert differ(shown, drawn(other, width=400, height=250))


def test_one_picture_has_no_band_and_none_is_an_error(tmp_path):
    draw_position({'a': {'last': np.ones((1, 8))}}, tmp_path / 'one.png')
    with pytest.raises(ValueError, match='no values'):
        draw_position({}, tmp_path / 'none.png')
