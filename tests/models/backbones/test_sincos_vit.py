"""A ViT with constant positions: what is stored, trained, dropped."""

import math

import pytest
import torch

from mmdssl.models.backbones.position_embedding import sincos_position_embedding
from mmdssl.models.backbones.sincos_vit import SinCosViT
from tests.models.tiny_maskalign import student_config


def vit(**kwargs) -> SinCosViT:
    torch.manual_seed(0)
    model = SinCosViT(**{k: v for k, v in student_config(**kwargs).items() if k != 'type'})
    model.init_weights()
    return model


def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_table_holds_columns_first_then_rows():
    table = sincos_position_embedding((3, 5), 8)[0]
    assert table.shape == (16, 8)
    assert not table[0].any()
    row, column = 2, 3
    want = [f(p * w) for p in (column, row) for f in (math.sin, math.cos) for w in (1.0, 0.01)]
    torch.testing.assert_close(table[1 + row * 5 + column], torch.tensor(want))


def test_the_table_is_stored_like_a_position_table_but_never_trained():
    model = vit()
    assert torch.equal(model.state_dict()['pos_embed'], sincos_position_embedding((4, 4), 24))
    assert 'pos_embed' not in dict(model.named_parameters())


def test_all_patches_in_another_order_give_the_same_tokens():
    model, order = vit(), torch.stack([torch.randperm(16) for _ in range(2)])
    plain, shuffled = model.hidden_states(images()), model.hidden_states(images(), keep=order)
    rows = torch.arange(2)[:, None]
    for one, two in zip(plain, shuffled, strict=True):
        torch.testing.assert_close(one[:, 0], two[:, 0])
        torch.testing.assert_close(one[rows, order + 1], two[:, 1:])
    torch.testing.assert_close(model.ln1(plain[-1]), model.forward_tokens(images()))


def test_a_width_without_room_for_two_axes_is_refused():
    arch = dict(embed_dims=18, num_layers=1, num_heads=2, feedforward_channels=8)
    with pytest.raises(ValueError, match='18'):
        vit(arch=arch)
