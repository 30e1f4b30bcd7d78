"""Point affinity is the cosine with the chosen point, at the chosen point."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdssl.visualization.affinity import affinity_of, draw_affinity, point_affinity
from tests.visualization.drawn import differ, drawn


def test_a_point_is_most_like_itself():
    features = torch.randn(16, 7, 7, generator=torch.Generator().manual_seed(0))
    points = torch.tensor([[0.1, 0.8], [0.99, 0.01], [1.0, 1.0]])  # x, y
    maps = point_affinity(features, points, size=56)
    assert maps.shape == (3, 56, 56)
    for cosines, (x, y) in zip(maps, [(5, 44), (55, 0), (55, 55)], strict=True):
        assert cosines[y, x] == pytest.approx(1, abs=1e-5)
        assert cosines[y, x] == pytest.approx(cosines.max().item(), abs=1e-6)
        assert cosines.min() >= -1 - 1e-6


def test_without_interpolation_it_is_the_cosine_of_the_cells():
    features = torch.randn(5, 4, 4, generator=torch.Generator().manual_seed(1))
    cosines = point_affinity(features, torch.tensor([[0.3, 0.6]]), size=4)[0]
    expected = F.cosine_similarity(features, features[:, 2, 1][:, None, None], dim=0)
    torch.testing.assert_close(cosines, expected)


def test_point_outside_the_image_is_refused():
    with pytest.raises(ValueError, match=r'in \[0, 1\]'):
        point_affinity(torch.ones(2, 3, 3), torch.tensor([[0.5, 12.0]]))


class Halves(nn.Module):
    """Left half of an image has one feature, right half the orthogonal one."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        assert not self.training
        left = (torch.arange(8) < 4).float().expand(len(images), 8, 8)
        return (torch.stack([left, 1 - left], dim=1),)


def test_affinity_lights_up_the_part_the_point_lies_on(tmp_path):
    images = torch.zeros(2, 3, 32, 32)
    points = torch.tensor([[[0.1, 0.5], [0.9, 0.5]]]).repeat(2, 1, 1)
    network = Halves().train()
    maps = affinity_of(network, images, points, size=8)
    assert network.training
    assert maps[0, 0, :, :4].min() == 1
    assert maps[0, 0, :, 4:].max() == 0
    torch.testing.assert_close(maps[0, 1], 1 - maps[0, 0])
    path = draw_affinity(images.byte(), points, {'one': maps, 'two': maps}, tmp_path / 'a.png')
    shown = drawn(path, width=400, height=200)
    other = draw_affinity(images.byte(), points, {'one': maps, 'two': 1 - maps}, tmp_path / 'b.png')
    assert differ(shown, drawn(other, width=400, height=200))
