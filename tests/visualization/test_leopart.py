"""The pictures show what the model computes."""

import numpy as np
import pytest
import torch

from mmdssl.models.utils.attention_foreground import tokens_and_attention
from mmdssl.visualization.leopart import draw_leopart, leopart_maps
from tests.models.tiny_leopart import leopart_batch, tiny_leopart
from tests.visualization.drawn import drawn


@pytest.mark.parametrize('loss_mask', ['foreground', 'all'])
def test_maps_are_those_of_the_loss(loss_mask):
    model, batch = tiny_leopart(loss_mask=loss_mask), leopart_batch(4)
    images = batch['views'][0]
    maps = leopart_maps(model, images)
    _, foreground, _ = model._teach([images])
    assert torch.equal(maps.foreground, foreground[0])
    assert maps.foreground.all() == (loss_mask == 'all')
    tokens, _ = tokens_and_attention(model.teacher.backbone, images)
    scores = model.teacher.head(tokens[:, 1:])  # (N, L, K)
    assert maps.clusters.flatten(1).tolist() == scores.argmax(dim=-1).tolist()


def test_picture_is_written_and_random_states_stay(tmp_path):
    model, batch = tiny_leopart(), leopart_batch(4)
    batch['views'] = [(view.clamp(-2, 2) + 2).mul(60).to(torch.uint8) for view in batch['views']]
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    path = draw_leopart(dict(inputs=batch), model, tmp_path / 'leopart.png', max_images=3)
    drawn(path, width=400, height=200)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
