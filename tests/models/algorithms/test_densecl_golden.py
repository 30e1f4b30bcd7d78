"""DenseCL against the official code: correspondence, losses, gradients, queues, EMA."""

import pytest
import torch
from torch import Tensor, nn

from mmdssl.models.algorithms.densecl import DenseCL
from mmdssl.models.correspondence import match_cells
from tests.golden import Golden, assert_close

pytestmark = pytest.mark.golden


class Maps(nn.Module):
    """A 'backbone' that answers an image with the map stored under its first pixel."""

    maps: Tensor

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.maps[images[:, 0, 0, 0].long()],)


def build(golden: Golden) -> DenseCL:
    hidden, channels = golden['step0_neck_q/mlp.0.weight'].shape
    dim, length = golden['step0_queue_before'].shape
    momentum = golden.number('momentum')
    return DenseCL(
        backbone=Maps(),
        neck=dict(type='DenseCLNeck', in_channels=channels, hid_channels=hidden, out_channels=dim),
        loss_lambda=golden.number('loss_lambda'),
        temperature=golden.number('temperature'),
        queue_length=length,
        momentum=(momentum, momentum),
    )


def batch(step: Golden, model: DenseCL, dtype: torch.dtype) -> dict:
    """Images that stand for the query and key maps of a step."""
    maps = torch.cat((step['query_c5'], step['key_c5'])).to(dtype)
    model.backbone.maps = model.teacher.backbone.maps = maps
    rows = torch.arange(len(maps), dtype=dtype)[:, None, None, None].expand(-1, 3, 2, 2)
    return dict(views=list(rows.chunk(2)))


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden/densecl_loss.npz'))


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.float64, 1e-6)])
def test_two_steps_equal_the_official_code(golden, dtype, tolerance):
    suffix = '_f64' if dtype == torch.float64 else ''
    model = build(golden)
    model.train()
    model.clock.set(iteration=0, max_iterations=10)
    for name in ('step0_', 'step1_'):
        step = golden.sub(name)
        model.neck.load_state_dict(dict(step.sub('neck_q/')))
        if name == 'step0_':  # the second step goes on with what the first one left
            model.teacher.neck.load_state_dict(dict(step.sub('neck_k_before/')))
            model.queue.keys.copy_(step['queue_before'])
            model.dense_queue.keys.copy_(step['queue2_before'])
        model.to(dtype)
        assert_close(model.dense_queue.keys, step['queue2_before'], what=f'{name}queue2 before')
        model.update_teacher()
        for key, want in step.sub('neck_k_after/').items():
            assert_close(model.teacher.neck.state_dict()[key], want, what=f'{name}teacher {key}')

        losses = model.loss(batch(step, model, dtype))
        for loss in ('loss_single', 'loss_dense'):
            assert_close(losses[loss], step[f'{loss}_weighted{suffix}'], tolerance, f'{name}{loss}')
            share = model.loss_lambda if loss == 'loss_dense' else 1 - model.loss_lambda
            assert_close(losses[loss] / share, step[f'{loss}_raw{suffix}'], tolerance)
        model.zero_grad()
        sum(losses.values()).backward()
        assert_close(
            model.neck.mlp[0].weight.grad, step[f'grad_q_mlp0{suffix}'], tolerance, f'{name}mlp'
        )
        assert_close(
            model.neck.mlp2[0].weight.grad, step[f'grad_q_mlp2_0{suffix}'], tolerance, f'{name}mlp2'
        )
        assert_close(model.queue.keys, step['queue_after'], what=f'{name}queue')
        assert_close(model.dense_queue.keys, step['queue2_after'], what=f'{name}queue2')
        assert torch.equal(model.queue.pointer, step['queue_ptr_after'])
        assert torch.equal(model.dense_queue.pointer, step['queue2_ptr_after'])


@pytest.mark.parametrize('name', ['step0_', 'step1_'])
@pytest.mark.parametrize(('dtype', 'suffix'), [(torch.float32, ''), (torch.float64, '_f64')])
def test_cells_are_matched_as_in_the_official_code(golden, name, dtype, suffix):
    step = golden.sub(name)
    query, key = step['query_c5'].to(dtype).flatten(2), step['key_c5'].to(dtype).flatten(2)
    assert torch.equal(match_cells(query, key), step[f'correspondence_index{suffix}'])
    # The n-th most similar cell, from the official similarities.
    order = step['backbone_sim_matrix'].argsort(dim=2, descending=True)
    assert torch.equal(match_cells(query, key, rule=3), order[:, :, 2])


def test_vectors_equal_the_official_ones(golden):
    step = golden.sub('step0_')
    model = build(golden)
    model.neck.load_state_dict(dict(step.sub('neck_q/')))
    model.teacher.neck.load_state_dict(dict(step.sub('neck_k_after/')))
    views = batch(step, model, torch.float32)['views']
    query = model._encode(model.backbone, model.neck, views[0])
    key = model._teach(views[1])
    flat = query.grid.transpose(1, 2).flatten(0, 1)
    got = dict(q=query.vector, q2=query.pooled, q_grid_flat=flat)
    got.update(k=key.vector, k2=key.pooled, k_grid=key.grid)
    for name, vectors in got.items():
        assert_close(vectors, step[name], what=name)
