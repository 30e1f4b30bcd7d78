"""Foreground shares and cells against a direct count."""

import torch

from mmdssl.models.foreground import Foreground


def test_share_is_the_kept_part_of_each_cell():
    torch.manual_seed(0)
    keep = torch.rand(3, 28, 14) < 0.6
    share = Foreground(keep=keep, threshold=0.5).share(7, 7)
    for row in range(7):
        for column in range(7):
            cell = keep[:, row * 4 : row * 4 + 4, column * 2 : column * 2 + 2]
            torch.testing.assert_close(share[:, row, column], cell.float().mean((1, 2)))


def test_threshold_decides_cells():
    keep = torch.zeros(1, 4, 4, dtype=torch.bool)
    keep[0, :2, :1] = True  # upper left cell of a 2x2 grid: half kept
    keep[0, 2:, 2:] = True  # lower right: all
    assert Foreground(keep=keep, threshold=0.5).cells(2, 2).tolist() == [
        [[True, False], [False, True]]
    ]
    assert Foreground(keep=keep, threshold=0.6).cells(2, 2).tolist() == [
        [[False, False], [False, True]]
    ]


def test_a_mask_on_the_grid_is_taken_as_it_is():
    keep = torch.rand(2, 5, 3) < 0.5
    assert torch.equal(Foreground(keep=keep, threshold=0.9).cells(5, 3), keep)
