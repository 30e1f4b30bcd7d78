import numpy as np
import pytest
import torch
from scipy import ndimage

from mmdssl.models.utils.attention_foreground import (
    attention_foreground,
    remove_specks,
    tokens_and_attention,
    top_mass,
)
from tests.models.tiny_leopart import leopart_batch, tiny_leopart


@pytest.mark.parametrize('density', [0.05, 0.15, 0.3, 0.6])
def test_specks_are_the_components_that_labelling_finds(density):
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(200, 9, 13, generator=generator) < density
    want = []
    for mask in masks.numpy():
        labels, _ = ndimage.label(mask, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel())
        want.append(mask & (sizes[labels] > 2))
    assert torch.equal(remove_specks(masks), torch.from_numpy(np.stack(want)))


def test_top_mass_takes_the_fewest_cells():
    attention = torch.tensor([[[0.5, 0.2], [0.2, 0.1]]])
    assert top_mass(attention, 0.49).tolist() == [[[True, False], [False, False]]]
    assert top_mass(attention, 0.6).sum() == 2
    assert top_mass(attention, 1.0).all()


def test_foreground_is_where_attention_is():
    attention = torch.full((1, 14, 14), 0.01)
    attention[0, 3:8, 4:9] = 1.0
    mask = attention_foreground(attention)[0]
    assert 10 <= mask.sum() <= 25
    assert not mask[9:].any()
    assert mask[4:7, 5:8].all()


def test_small_grids_are_blurred_as_far_as_they_reach():
    assert attention_foreground(torch.rand(2, 2, 3)).shape == (2, 2, 3)


def test_attention_and_tokens_of_one_pass():
    net, images = tiny_leopart().backbone, leopart_batch(3)['views'][0]
    tokens, attention = tokens_and_attention(net, images)
    assert torch.equal(tokens, net.forward_tokens(images))
    want = net.last_attention(images)[:, :, 0, 1:].mean(dim=1).view_as(attention)
    torch.testing.assert_close(attention, want)
    assert not net.layers[-1].attn.qkv._forward_hooks
