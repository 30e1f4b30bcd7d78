"""Attentive masking is a draw without replacement, proportional to importance."""

import pytest
import torch

from mmdssl.models.utils.attentive_masking import attentive_order, keep_count


def test_first_place_falls_in_proportion_to_importance():
    torch.manual_seed(0)
    importance = torch.tensor([0.5, 0.3, 0.2, 0.0]).expand(20000, -1)
    order = attentive_order(importance)
    assert torch.equal(order.sort(dim=1).values, torch.arange(4).expand(20000, -1))
    first = order[:, 0].bincount(minlength=4) / 20000
    torch.testing.assert_close(first, importance[0], atol=0.012, rtol=0)
    # Second, given that 0 was first: 0.3 and 0.2 of what is left.
    second = order[order[:, 0] == 0, 1].bincount(minlength=4).float()
    torch.testing.assert_close(
        second / second.sum(), importance.new_tensor([0, 0.6, 0.4, 0]), atol=0.02, rtol=0
    )
    assert (order[:, 3] == 3).all()  # importance 0 comes last


def test_the_draw_is_that_of_multinomial():
    importance = torch.rand(5, 9)
    torch.manual_seed(3)
    ours = attentive_order(importance)
    torch.manual_seed(3)
    assert torch.equal(ours, torch.multinomial(importance, 9, replacement=False))


@pytest.mark.parametrize(('patches', 'ratio', 'kept'), [(196, 0.7, 58), (16, 0.7, 4), (64, 0, 64)])
def test_number_of_kept_patches(patches, ratio, kept):
    assert keep_count(patches, ratio) == kept


@pytest.mark.parametrize('ratio', [0.99, 1.0, -0.2])
def test_a_ratio_that_leaves_nothing_is_refused(ratio):
    with pytest.raises(ValueError, match='mask_ratio'):
        keep_count(16, ratio)
