"""The sheet of LSC maps: one scale for all networks, and one map for each photo."""

import pytest
import torch
from PIL import Image

from mmdssl.visualization.consistency import draw_consistency


def test_a_brighter_map_is_a_higher_one_on_one_scale(tmp_path):
    photos = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    maps = {'low': torch.full((1, 28, 28), 0.2), 'high': torch.full((1, 28, 28), 0.9)}
    path = draw_consistency(photos, maps, tmp_path / 'new' / 'lsc.png')
    with Image.open(path) as drawn:
        colours = {colour for _, colour in drawn.convert('RGB').getcolors(1 << 20) if _ > 2000}
    # The ends of cividis: both maps fill their square with one colour each.
    assert any(c[2] > 60 and c[0] < 20 for c in colours)
    assert any(c[0] > 240 and c[1] > 220 and c[2] < 100 for c in colours)


def test_a_map_is_needed_for_each_photo(tmp_path):
    photos = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"2 photos need as many maps .*'one': 1"):
        draw_consistency(photos, {'one': torch.zeros(1, 4, 4)}, tmp_path / 'lsc.png')
