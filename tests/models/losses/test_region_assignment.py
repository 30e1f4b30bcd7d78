"""The loss of pairs; equality with the official code is in test_leopart_golden."""

import pytest
import torch

from mmdssl.models.losses.region_assignment import region_assignment_loss

WHOLE = torch.tensor([0.0, 0.0, 32.0, 32.0])


def case(views: int = 3, size: int = 2, kinds: int = 5):
    """Two global views and others of 4 x 4 cells of 8 px, all of the same window."""
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(2, size, kinds, 4, 4, generator=generator).double()
    scores = [torch.randn(size, kinds, 4, 4, generator=generator).double() for _ in range(views)]
    return dict(
        assignments=shares / shares.sum(dim=2, keepdim=True),
        scores=scores,
        boxes_in_global=WHOLE.expand(size, 2, views, 4),
        boxes_in_other=WHOLE.expand(size, views, 2, 4),
        masks=None,
        patch_size=8,
        roi_size=4,  # the cells themselves
    )


def test_equal_windows_reduce_to_cross_entropy_of_cells():
    settings = case()
    want = [
        -(settings['assignments'][g] * (settings['scores'][v] / 0.1).log_softmax(dim=1))
        .sum(dim=1)
        .mean()
        for g in range(2)
        for v in range(3)
        if v != g
    ]
    torch.testing.assert_close(region_assignment_loss(**settings), torch.stack(want).mean())


def test_only_masked_cells_count_and_a_pair_without_any_adds_nothing():
    settings = case()
    masks = torch.zeros(2, 2, 4, 4, dtype=torch.bool)
    masks[0, 1, 2, 3] = True  # of global 0 one cell, of global 1 none
    cell = [
        -(
            settings['assignments'][0, 1, :, 2, 3]
            * (settings['scores'][v][1, :, 2, 3] / 0.1).log_softmax(dim=0)
        ).sum()
        for v in (1, 2)
    ]
    loss = region_assignment_loss(**{**settings, 'masks': masks})
    torch.testing.assert_close(loss, sum(cell) / 4)


def test_views_of_other_sizes_and_strides_between():
    """Order of views and mixed sizes change nothing but the order."""
    settings = case(views=4)
    scores = settings['scores']
    scores[2] = scores[2][:, :, :2, :2]
    scores[3] = scores[3][:, :, :3, :3]
    boxes = settings['boxes_in_other'].clone()
    boxes[:, 2] = torch.tensor([0.0, 0.0, 16.0, 16.0])
    boxes[:, 3] = torch.tensor([0.0, 0.0, 24.0, 24.0])
    settings['boxes_in_other'] = boxes
    one = region_assignment_loss(**settings)
    settings.update(scores=[scores[i] for i in (0, 1, 3, 2)], boxes_in_other=boxes[:, [0, 1, 3, 2]])
    torch.testing.assert_close(region_assignment_loss(**settings), one)


@pytest.mark.parametrize('tolerance', [0.0, 1e-4])
def test_tolerance_keeps_cells_that_rounding_would_drop(tolerance):
    generator = torch.Generator().manual_seed(0)
    settings = case(size=64)
    settings = {
        key: value.float() if isinstance(value, torch.Tensor) else value
        for key, value in settings.items()
    }
    near = torch.rand(64, 2, 3, 2, generator=generator) * 9
    boxes = torch.cat((near, near + 14 + torch.rand(64, 2, 3, 2, generator=generator) * 9), dim=-1)
    settings.update(boxes_in_global=boxes, roi_size=7)
    every = region_assignment_loss(**settings)
    full = torch.ones(2, 64, 4, 4, dtype=torch.bool)
    masked = region_assignment_loss(**{**settings, 'masks': full, 'tolerance': tolerance})
    # Nothing is masked: all cells should count.
    assert torch.allclose(masked, every, rtol=1e-6) == (tolerance > 0)
