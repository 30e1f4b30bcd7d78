"""Leopart starts from a given ViT and learns; Leopart-D reads cells that are foreground twice."""

import copy

import pytest
import torch
from torch import nn

from mmdssl.models.foreground import Foreground
from tests.models.tiny import tiny_ibot
from tests.models.tiny_leopart import GRID, leopart_batch, tiny_leopart

BRANCH = dict(type='DecouplingBranch')


def test_loss_falls_over_a_few_steps():
    model = tiny_leopart(decoupling=BRANCH, queue_length=64)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    batch, totals = leopart_batch(), []
    for iteration in range(25):
        model.clock.set(iteration=iteration, max_iterations=100)
        losses = model.loss(batch)
        total = sum(loss for name, loss in losses.items() if 'loss' in name)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        model.update_teacher()
        totals.append(total.item())
    assert sum(totals[-5:]) / 5 < sum(totals[:5]) / 5 - 0.1


def test_every_student_parameter_learns_and_no_teacher_parameter():
    model = tiny_leopart(decoupling=BRANCH)
    losses = model.loss(leopart_batch())
    (losses['loss_assign'] + losses['loss_decoupling']).backward()
    for name, parameter in model.named_parameters():
        if name.startswith('teacher.'):
            assert parameter.grad is None
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_prototypes_of_both_nets_are_brought_to_unit_length_before_every_step():
    model = tiny_leopart()
    for head in (model.head, model.teacher.head):
        head.prototypes.weight.data.mul_(3)
    model.loss(leopart_batch())
    for head in (model.head, model.teacher.head):
        torch.testing.assert_close(head.prototypes.weight.norm(dim=1), torch.ones(12))


def test_needs_a_vit_to_start_from(tmp_path):
    with pytest.raises(ValueError, match="init='random'"):
        tiny_leopart(init=None)
    with pytest.raises(FileNotFoundError, match=r'no file .*nowhere.pth.*model.init'):
        tiny_leopart(init=str(tmp_path / 'nowhere.pth'))


def test_starts_from_the_teacher_of_an_ibot_run(tmp_path):
    ibot = tiny_ibot()
    for parameter in ibot.teacher.parameters():
        parameter.data.add_(0.01)
    file = tmp_path / 'ibot.pth'
    torch.save(dict(state_dict=ibot.state_dict()), file)
    model = tiny_leopart(init=str(file))
    want = ibot.teacher.backbone.state_dict()
    for backbone in (model.backbone, model.teacher.backbone):
        state = backbone.state_dict()
        assert all(torch.equal(value, want[name]) for name, value in state.items())


def test_student_is_evaluated():
    model = tiny_leopart()
    assert model.get_backbone() is model.backbone


@pytest.mark.parametrize('reaugment', [False, 'both'])
def test_branch_leaves_the_main_loss_bit_equal(reaugment):
    batch = leopart_batch()
    batch.update(raw=batch['views'], recolor=lambda images, view: images * 0.5)
    plain = tiny_leopart(queue_length=64)
    branched = tiny_leopart(queue_length=64, decoupling=dict(**BRANCH, reaugment=reaugment))
    for _ in range(2):
        torch.manual_seed(3)
        one = plain.loss(batch)
        torch.manual_seed(3)
        two = branched.loss(batch)
        assert torch.equal(one['loss_assign'] * (1 - 0.3), two['loss_assign'])
        assert torch.equal(plain.queue.vectors, branched.queue.vectors)
        assert two['loss_decoupling'] > 0


def test_what_is_queued_leaves_the_draws_of_the_next_batch_alone():
    model = tiny_leopart(queue_length=64, decoupling=BRANCH)
    for mass in (0.3, 0.9):  # much and little foreground
        model.attention_mass = mass
        before = torch.get_rng_state()
        model.loss(leopart_batch())
        assert torch.equal(torch.get_rng_state(), before)
    assert model.queue.filled.min() > 0


def dense_case(keep: torch.Tensor, attended: torch.Tensor):
    """A host, its features of two images, targets, and what dense_loss makes of them."""
    model = tiny_leopart()
    features = model.dense_features(leopart_batch(2)['views'][0])
    shares = torch.rand(2, GRID * GRID, 12, generator=torch.Generator().manual_seed(5))
    targets = dict(assignment=shares / shares.sum(dim=-1, keepdim=True), foreground=attended)
    return model, features, targets, Foreground(keep=keep, threshold=0.5)


def test_dense_loss_is_the_cross_entropy_of_cells_that_are_foreground_twice():
    generator = torch.Generator().manual_seed(7)
    keep = torch.rand(2, GRID, GRID, generator=generator) < 0.5
    attended = torch.rand(2, GRID * GRID, generator=generator) < 0.5
    model, features, targets, foreground = dense_case(keep, attended)
    loss = model.dense_loss(features, targets, foreground)
    logs = (model.head(features[0]) / 0.1).log_softmax(dim=-1)
    cells = [
        -(targets['assignment'][n, i] * logs[n, i]).sum()
        for n in range(2)
        for i in range(GRID * GRID)
        if keep[n].flatten()[i] and attended[n, i]
    ]
    assert 0 < len(cells) < 2 * GRID * GRID
    torch.testing.assert_close(loss, torch.stack(cells).mean())


def test_dense_loss_without_a_common_cell_is_zero_and_has_gradients():
    keep = torch.zeros(2, GRID, GRID, dtype=torch.bool)
    model, features, targets, foreground = dense_case(keep, ~keep.flatten(1))
    loss = model.dense_loss(features, targets, foreground)
    loss.backward()
    assert loss.item() == 0
    assert all(parameter.grad is not None for parameter in model.head.parameters())


def test_queue_holds_foreground_of_its_own_view_and_joins_when_full():
    model, batch = tiny_leopart(queue_length=20, queue_per_image=1), leopart_batch(8)
    vectors, attention, _ = model._teacher_vectors(torch.cat(batch['views'][:2]))
    masks = model._foreground(attention)
    for step in range(3):
        full = [len(model.queue.get(view)) for view in range(2)]
        assert full == ([0, 0] if step * 8 < 20 else [20, 20])
        model.loss(batch)
    for view in range(2):
        rows = slice(8 * view, 8 * (view + 1))
        allowed = vectors[rows][masks[rows].flatten(1)]
        distance = torch.cdist(model.queue.vectors[view, :8], allowed)
        assert distance.min(dim=1).values.max() < 1e-3
    queued = copy.deepcopy(model).loss(batch)['loss_assign']
    model.queue = None
    assert not torch.equal(queued, model.loss(batch)['loss_assign'])


def test_queue_takes_what_there_is_where_foreground_is_scarce():
    model, batch = tiny_leopart(queue_length=2000, queue_per_image=10), leopart_batch(4)
    model.loss(batch)
    masks = model._foreground(model._teacher_vectors(torch.cat(batch['views'][:2]))[1])
    want = [min(40, int(part.sum())) for part in masks.chunk(2)]
    assert min(want) < 40
    assert model.queue.filled.tolist() == want


def test_all_cells_count_where_told():
    batch = leopart_batch()
    every, foreground = tiny_leopart(loss_mask='all'), tiny_leopart()
    assert every.loss(batch)['foreground_share'] == 1
    assert 0.05 < foreground.loss(batch)['foreground_share'] < 0.9


def test_batch_without_overlaps_is_refused():
    model, batch = tiny_leopart(), leopart_batch()
    with pytest.raises(ValueError, match=r'needs 2 views|at least 2 are needed'):
        model.loss(dict(batch, views=batch['views'][:1]))
    batch.pop('boxes_in_other')
    with pytest.raises(ValueError, match="'boxes_in_other' of 4 views"):
        model.loss(batch)


def test_state_restores_the_queue_whatever_its_length():
    model = tiny_leopart(queue_length=24)
    model.loss(leopart_batch())
    other = tiny_leopart(queue_length=48)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.queue.vectors, model.queue.vectors)
    assert isinstance(other.queue, nn.Module)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(loss_mask='background'), "loss_mask is 'background'"),
        (dict(attention_mass=0), 'attention_mass is 0'),
        (dict(num_global_views=0), 'num_global_views is 0'),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tiny_leopart(**settings)


def test_defaults_are_those_of_the_public_code():
    model = tiny_leopart()
    assert model.momentum == (0.9995, 1.0)
    assert model.mask_tolerance == 1e-4  # a cell must be foreground all over, but for rounding
    assert (model.temperature, model.epsilon, model.sinkhorn_iterations) == (0.1, 0.05, 3)
    assert (model.queue_per_image, model.attention_mass, model.roi_size) == (10, 0.6, 7)


@pytest.mark.parametrize(('processes', 'length'), [(1, 8192), (2, 4096), (3, 2730)])
def test_the_processes_share_one_queue(monkeypatch, processes, length):
    monkeypatch.setattr('mmengine.dist.get_world_size', lambda *_: processes)
    assert tiny_leopart(queue_length=8192).queue.vectors.shape == (2, length, 8)
