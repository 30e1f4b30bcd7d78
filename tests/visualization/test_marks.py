"""Boxes and foreground cells are those of the batch and of the dense loss."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from mmpretrain.models import ResNet

from mmdssl.models.foreground import Foreground
from mmdssl.visualization.figure import COLOURS, sheet
from mmdssl.visualization.marks import Boxes, boxes_of, draw_boxes, draw_grid, foreground_grid
from mmdssl.visualization.preview import stride_of


def test_grid_has_the_shares_and_cells_of_the_loss():
    keep = torch.zeros(2, 64, 96, dtype=torch.bool)
    keep[1, :32, :32] = True  # one whole cell
    keep[1, 32:48, 32:64] = True  # half of one
    keep[1, 32:47, 64:96] = True  # less than half
    grid = foreground_grid(Foreground(keep, 0.5), 1, (64, 96))
    np.testing.assert_allclose(grid.share, [[1, 0, 0], [0, 0.5, 15 / 32]])
    np.testing.assert_array_equal(grid.foreground, [[True, False, False], [False, True, False]])


def test_cells_are_those_of_the_networks_stride():
    keep = torch.zeros(1, 64, 64, dtype=torch.bool)
    keep[0, :16, :16] = True
    grid = foreground_grid(Foreground(keep, 0.5), 0, (64, 64), stride=16)
    assert grid.share.shape == (4, 4)
    assert grid.foreground.sum() == 1


@pytest.mark.parametrize('strides', [(1, 2, 2, 2), (1, 2, 2, 1)])
def test_stride_of_a_resnet_is_that_of_its_maps(strides):
    net = ResNet(18, stem_channels=8, base_channels=8, strides=strides)
    assert stride_of(net) == 64 // net(torch.zeros(1, 3, 64, 64))[-1].shape[-1]


def test_masks_of_patches_are_their_own_grid():
    assert foreground_grid(Foreground(torch.ones(1, 4, 4).bool(), 0.5), 0, (64, 64)) is None


def test_repeated_boxes_appear_once_and_equal_ids_share_a_colour():
    boxes = torch.arange(2 * 4 * 4).view(1, 2, 4, 4).float()  # (N, 2 views, K, 4)
    ids = torch.tensor([[[7, 3, 7, 7], [3, 9, 3, 3]]])
    inputs = {
        'boxes': [boxes[:, 0], boxes[:, 1]],
        'box_ids': [ids[:, 0], ids[:, 1]],
    }
    first, second = (boxes_of(inputs, view, 0) for view in (0, 1))
    np.testing.assert_array_equal(first.corners, boxes[0, 0, :2])  # 7, 3
    np.testing.assert_array_equal(second.corners, boxes[0, 1, :2])  # 3, 9
    assert first.colours.tolist() == [1, 0]
    assert second.colours.tolist() == [0, 2]
    assert boxes_of({'views': []}, 0, 0) is None


def test_text_of_a_box_is_its_kept_share():
    keep = torch.zeros(20, 20, dtype=torch.bool)
    keep[:, :10] = True
    inputs = {'boxes': [torch.tensor([[[0, 0, 10, 20], [5, 5, 15, 15.0], [12, 0, 20, 9]]])]}
    assert boxes_of(inputs, 0, 0, keep=keep).texts == ['100%', '50%', '0%']


def test_marks_lie_on_their_pixels():
    _, axes = sheet(1, 1, width=1, height=1)
    draw_boxes(axes[0, 0], Boxes(np.array([[2.0, 3, 12, 9]]), np.array([1]), ['40%']))
    (outline,) = axes[0, 0].patches
    assert outline.get_bbox().extents.tolist() == [1.5, 2.5, 11.5, 8.5]
    assert to_hex(outline.get_edgecolor()).upper() == COLOURS['sky'].upper()
    keep = torch.zeros(1, 64, 64, dtype=torch.bool)
    keep[0, 32:, :32] = True
    _, axes = sheet(1, 1, width=1, height=1)
    grid = foreground_grid(Foreground(keep, 0.5), 0, (64, 64))
    draw_grid(axes[0, 0], grid, (64, 64), numbers=True)
    outlined = [p for p in axes[0, 0].patches if p.get_edgecolor()[3] > 0]
    assert [p.get_bbox().extents.tolist() for p in outlined] == [[-0.5, 31.5, 31.5, 63.5]]
    assert [text.get_text() for text in axes[0, 0].texts] == ['0', '0', '100', '0']
