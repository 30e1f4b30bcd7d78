"""NeCo against the official code and the published sorting network."""

import re

import pytest
import torch
from torch import Tensor

from mmdssl.models.algorithms.neco import NeCo
from mmdssl.models.utils.soft_sort import soft_permutation
from tests.golden import Golden, assert_close
from tests.models.tiny_neco import tiny_neco

pytestmark = pytest.mark.golden
TOLERANCE, GRADIENTS = 1e-9, 1e-6


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden2/neco.npz'))


def test_soft_sorting(golden):
    cases = {match[0]: match[1] for name in golden if (match := re.match(r'sort_(\D+)\d+/', name))}
    assert len(cases) > 1
    for prefix, network in cases.items():
        case = golden.sub(prefix)
        values = case['vectors'].requires_grad_()
        found, permutation = soft_permutation(
            values, steepness=case.number('cfg_steepness'), network=network
        )
        assert_close(found.detach(), case['out_sorted'], TOLERANCE, prefix)
        assert_close(permutation.detach(), case['out_permutation'], TOLERANCE, prefix)
        (permutation * case['grad_probe']).sum().backward()
        assert_close(values.grad, case['grad_vectors'], GRADIENTS, prefix)


def maps(rows: Tensor, views: int, side: int) -> list[Tensor]:
    """Rows (views * images * L, C), view by view -> views of (images, C, side, side)."""
    return list(rows.unflatten(0, (views, -1, side, side)).permute(0, 1, 4, 2, 3))


class Recorded(NeCo):
    """Puts references in the order of the golden run."""

    orders: Tensor

    def _order(self, count: int, purpose: int) -> Tensor:
        return self.orders[purpose]


def test_loss_and_gradients(golden):
    loss = golden.sub('loss/')
    number = loss.number
    globals_, locals_ = loss['cfg_crops'].tolist()
    side, near = number('cfg_global_res'), number('cfg_local_res')
    backbone = dict(
        type='DenseViT',
        arch=dict(embed_dims=24, num_layers=1, num_heads=3, feedforward_channels=48),
        img_size=side * number('cfg_patch'),
        patch_size=number('cfg_patch'),
        with_mask_token=False,
    )
    model = tiny_neco(
        Recorded,
        backbone=backbone,
        num_global_views=globals_,
        similarity=loss.text('cfg_sim'),
        steepness=(number('cfg_student_steepness'), number('cfg_teacher_steepness')),
        roi_size=number('cfg_roi'),
    )
    model.orders = loss['reference_orders']
    rows = {key: loss[f'student_{key}'].requires_grad_() for key in ('global', 'local')}
    given = maps(rows['global'], globals_, side) + maps(rows['local'], locals_, near)
    taught = torch.cat(maps(loss['teacher_global'], globals_, side))  # (G * N, C, h, w)
    # Stored embeddings, not those of the nets, are what teacher and student say.
    model._teach_tokens = lambda _: (taught.flatten(2).transpose(1, 2), taught)
    model._student = lambda *_: (given, given, None)
    images = len(loss['boxes_in_global'])
    pixels = number('cfg_patch')
    sizes = [side * pixels] * globals_ + [near * pixels] * locals_
    found = model.loss(
        dict(
            views=[torch.zeros(images, 3, size, size) for size in sizes],
            boxes_in_global=list(loss['boxes_in_global'].unbind(1)),
            boxes_in_other=list(loss['boxes_in_other'].unbind(1)),
        )
    )
    assert_close(found['loss_order'].detach(), loss['out_loss'], TOLERANCE, 'loss')
    found['loss_order'].backward()
    for key, leaf in rows.items():
        assert_close(leaf.grad, loss[f'grad_student_{key}'], GRADIENTS, key)
