"""BYOL's own contracts: loss, momentum, the branch at single cells."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmpretrain.models import selfsup

from mmdssl.models.foreground import Foreground
from mmdssl.registry import MODELS
from tests.models.tiny_resnet import byol_mlp, narrow, tiny_byol, two_views

BRANCH = dict(type='DecouplingBranch')


def test_the_loss_is_that_of_mmpretrain():
    MessageHub.get_current_instance().update_info('max_iters', 10)
    ours = tiny_byol()
    original = selfsup.BYOL(
        backbone=narrow(),
        neck=byol_mlp(32, pool=True),
        head=dict(
            type='LatentPredictHead',
            loss=dict(type='CosineSimilarityLoss'),
            predictor=byol_mlp(8, pool=False),
        ),
    )
    state = {k: v for k, v in ours.state_dict().items() if not k.startswith('teacher.')}
    assert not original.load_state_dict(state, strict=False).unexpected_keys
    original.train()
    batch = two_views()
    want = original.loss(list(batch['views']), None)['loss']  # its first update copies
    torch.testing.assert_close(ours.loss(batch)['loss_byol'], want)
    assert MODELS.get('BYOL') is type(ours)


@pytest.mark.parametrize(('whose', 'shift'), [('next', 1), ('same', 0)])
def test_momentum_is_that_of_the_step_named(whose, shift, monkeypatch):
    model = tiny_byol(momentum=(0.9, 1.0), momentum_step=whose)
    used: list[float] = []
    monkeypatch.setattr(model.teacher, 'update', lambda _, *, momentum: used.append(momentum))
    for step in range(8):
        model.clock.set(iteration=step, max_iterations=8)
        model.update_teacher()
    cosine = torch.cos(torch.pi * (torch.arange(8, dtype=torch.float64) + shift) / 8)
    assert used == pytest.approx((1 - 0.1 * (cosine + 1) / 2).tolist(), abs=1e-12)


def test_the_branch_leaves_loss_and_batch_norm_bit_equal():
    plain, branched = tiny_byol(), tiny_byol(decoupling=BRANCH)
    assert plain.state_dict().keys() == branched.state_dict().keys()
    one, two = plain.loss(two_views()), branched.loss(two_views())
    assert torch.equal(one['loss_byol'] * 0.7, two['loss_byol'])
    after = dict(branched.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in plain.named_buffers())
    two['loss_decoupling'].backward()
    moved = [p.grad for p in branched.parameters() if p.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in moved)


def test_the_branch_is_byols_loss_of_foreground_cells_sample_by_sample():
    model = tiny_byol(decoupling=BRANCH).double()
    student, teacher = torch.randn(2, 3, 32, 4, 4, dtype=torch.float64)
    keep = torch.rand(3, 4, 4) < 0.5
    keep[1] = False
    found = model.dense_loss(student, teacher, Foreground(keep, 0.5))
    other = copy.deepcopy(model)
    rows = [x.permute(0, 2, 3, 1)[keep] for x in (student, teacher)]  # (M, C)
    q = other.head.predictor([other.neck((rows[0][:, :, None, None],))[0]])[0]
    t = other.teacher.neck((rows[1][:, :, None, None],))[0]
    cosine = F.cosine_similarity(q, t, dim=1)
    first, last = cosine.split([int(keep[0].sum()), int(keep[2].sum())])
    torch.testing.assert_close(found, -2 * 2 * (first.mean() + last.mean()) / 3)


@pytest.mark.parametrize('left', [0, 1])
def test_a_foreground_that_batch_norm_can_make_nothing_of_counts_as_zero(left):
    keep = torch.zeros(3, 4, 4, dtype=torch.bool)
    keep[0, 0, :left] = True
    student, teacher = torch.randn(2, 3, 32, 4, 4)
    student.requires_grad_()
    loss = tiny_byol(decoupling=BRANCH).dense_loss(student, teacher, Foreground(keep, 0.5))
    assert loss == 0
    loss.backward()


def test_redrawn_key_views_pass_the_teacher_without_moving_its_statistics():
    model, images = tiny_byol(), two_views()['views'][0]
    before = {name: value.clone() for name, value in model.teacher.named_buffers()}
    found = model.dense_targets(images, torch.zeros(1))
    assert all(torch.equal(before[name], value) for name, value in model.teacher.named_buffers())
    torch.testing.assert_close(found, model.teacher.backbone(images)[-1])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="momentum_step is 'last'"):
        tiny_byol(momentum_step='last')
    with pytest.raises(ValueError, match='two views'):
        tiny_byol().loss(dict(views=two_views()['views'][:1]))
