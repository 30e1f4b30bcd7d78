"""D3SSL: its losses computed once more by hand, its queue, its switches, its views."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import roi_align

from tests.models.algorithms.narrow_d3ssl import (
    BOXES,
    QUEUE,
    SIDE,
    SMALL,
    d3ssl_batch,
    narrow_d3ssl,
)


def double(batch: dict) -> dict:
    return {**batch, 'views': [view.double() for view in batch['views']]}


def region_vector(backbone: nn.Module, neck: nn.Module, images, boxes, size: int):
    """z of every box (N, K, D): layers called one by one, boxes given to RoIAlign as a list."""
    x = backbone.maxpool(backbone.relu(backbone.norm1(backbone.conv1(images))))
    c4 = backbone.layer3(backbone.layer2(backbone.layer1(x)))
    rois = [box.to(c4.dtype) for box in boxes]
    cells = roi_align(c4, rois, size, spatial_scale=c4.shape[-1] / images.shape[-1], aligned=True)
    z = neck.mlp(backbone.layer4(cells).flatten(2).mean(-1))
    return (z / z.norm(dim=1, keepdim=True)).view(len(boxes), -1, z.shape[1])


def nce(query, positive, queue, temperature):
    """Eq. 5, one pair at a time."""
    above = torch.exp(query @ positive / temperature)
    below = above + torch.exp(queue.T @ query / temperature).sum()
    return -torch.log(above / below)


def by_hand(model, batch) -> tuple[dict, torch.Tensor]:
    """Eq. 3, 4, 8, 9 with a loop over images and boxes; the losses and the keys."""
    x1, x2 = batch['views']
    count = len(x1)
    b1, b2 = batch['boxes'][0], torch.empty_like(batch['boxes'][1])
    for n in range(count):
        for k in range(BOXES):
            (row,) = torch.nonzero(batch['box_ids'][1][n] == batch['box_ids'][0][n, k])[0]
            b2[n, k] = batch['boxes'][1][n, row]
    small = F.interpolate(x2, SMALL, mode='bilinear', antialias=True)
    for n in range(count):
        small[n][:, batch['erase_small'][0][n]] = 0
    partners = model.compose(batch).background
    x3 = torch.stack([x2[p] for p in partners])
    for n in range(count):
        dx, dy = batch['shift'][0][n].tolist()
        for y, x in torch.nonzero(batch['paste'][0][n]).tolist():
            x3[n, :, y, x] = x2[n, :, y - dy, x - dx]
    shift = batch['shift'][0]
    student, teacher = (model.backbone, model.neck), (model.teacher.backbone, model.teacher.neck)
    t1 = region_vector(*teacher, x1, b1, 4)
    t2 = region_vector(*teacher, x2, b2, 4)
    s1 = region_vector(*student, x1, b1, 4)
    s2 = region_vector(*student, small, b2 * (SMALL / SIDE), 2)
    s3 = region_vector(*student, x3, b2 + torch.cat([shift, shift], 1)[:, None], 4)
    t = model.temperature
    decouple, deposition = [], []
    for n in range(count):
        if model.negatives == 'queue':
            queue = model.queue.keys
        else:
            queue = torch.cat([seen[m] for m in range(count) if m != n for seen in (t1, t2)]).T
        for k in range(BOXES):
            decouple.append(nce(s1[n, k], t2[n, k], queue, t) + nce(s2[n, k], t1[n, k], queue, t))
            deposition.append(nce(s3[n, k], t2[n, k], queue, t) + nce(s3[n, k], t1[n, k], queue, t))
    losses = dict(
        loss_decoupling=torch.stack(decouple).mean(),
        loss_depositioning=torch.stack(deposition).mean(),
    )
    return losses, torch.cat([t1.flatten(0, 1), t2.flatten(0, 1)])


@pytest.mark.parametrize('negatives', ['queue', 'batch'])
def test_losses_and_gradients_equal_the_equations(negatives):
    model, batch = narrow_d3ssl(negatives=negatives).double(), double(d3ssl_batch())
    with torch.no_grad():  # a teacher of its own
        for parameter in model.teacher.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    twin = copy.deepcopy(model)
    wanted, _ = by_hand(twin, batch)
    got = model.loss(batch)
    assert got.keys() == wanted.keys()
    for name, value in got.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-9, atol=1e-9)
    sum(got.values()).backward()
    sum(wanted.values()).backward()
    for (name, one), two in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(
            one.grad, two.grad, rtol=1e-6, atol=1e-9, msg=lambda text, name=name: f'{name}: {text}'
        )


def test_the_queue_takes_teacher_vectors_of_all_boxes_of_both_views():
    model, batch = narrow_d3ssl().double(), double(d3ssl_batch())
    _, keys = by_hand(copy.deepcopy(model), batch)
    before = model.queue.keys.clone()
    model.loss(batch)
    per_step = 2 * 4 * BOXES
    torch.testing.assert_close(model.queue.keys[:, :per_step], keys.T)
    assert torch.equal(model.queue.keys[:, per_step:], before[:, per_step:])
    assert int(model.queue.pointer) == per_step
    for _ in range(3):
        model.loss(batch)
    assert int(model.queue.pointer) == 0  # 4 steps of 24 keys fill the 96


def test_each_net_sees_its_own_views():
    model, batch = narrow_d3ssl(), d3ssl_batch()
    views = model.compose(batch)
    seen: dict[str, list] = {'student': [], 'teacher': []}
    for name, net in (('student', model.backbone), ('teacher', model.teacher.backbone)):
        net.conv1.register_forward_pre_hook(lambda _, args, name=name: seen[name].append(args[0]))
    model.loss(batch)
    for name, wanted in (
        ('teacher', [views.first, views.second]),
        ('student', [views.first, views.small, views.composed]),
    ):
        assert len(seen[name]) == len(wanted)
        assert all(torch.equal(a, b) for a, b in zip(seen[name], wanted, strict=True))


@pytest.mark.parametrize(
    ('switches', 'name', 'passes'),
    [
        (dict(with_depositioning_loss=False), 'loss_decoupling', 2),
        (dict(with_decoupling_loss=False), 'loss_depositioning', 1),
    ],
)
def test_a_switch_removes_its_loss_its_passes_and_its_data(switches, name, passes):
    both = narrow_d3ssl().loss(d3ssl_batch())
    model, batch = narrow_d3ssl(**switches), d3ssl_batch()
    for key in ('paste', 'shift') if name == 'loss_decoupling' else ('erase_small',):
        del batch[key]
    counts = {'student': 0, 'teacher': 0}
    for net, label in ((model.backbone, 'student'), (model.teacher.backbone, 'teacher')):
        net.conv1.register_forward_pre_hook(
            lambda *_, label=label: counts.update({label: counts[label] + 1})
        )
    losses = model.loss(batch)
    assert set(losses) == {name}
    assert torch.equal(losses[name], both[name])  # the other loss changes nothing of it
    assert counts == {'student': passes, 'teacher': 2}


def test_every_student_parameter_learns_and_no_teacher_parameter():
    for switches in (dict(), dict(with_depositioning_loss=False), dict(with_decoupling_loss=False)):
        model = narrow_d3ssl(**switches)
        sum(model.loss(d3ssl_batch()).values()).backward()
        for name, parameter in model.named_parameters():
            if name.startswith('teacher.'):
                assert parameter.grad is None
            else:
                assert parameter.grad is not None, name
                assert parameter.grad.abs().max() > 0, name


def test_the_teacher_has_running_statistics_of_its_own_and_the_student_is_kept():
    model = narrow_d3ssl()
    assert model.get_backbone() is model.backbone
    model.loss(d3ssl_batch())
    norms = model.backbone.bn1, model.teacher.backbone.bn1
    assert not torch.equal(norms[0].running_mean, norms[1].running_mean)
    assert [int(norm.num_batches_tracked) for norm in norms] == [3, 2]
    before = norms[1].running_mean.clone()
    model.update_teacher()
    assert torch.equal(norms[1].running_mean, before)


def test_one_seed_gives_one_loss_and_another_step_other_backgrounds():
    one, two = (narrow_d3ssl().loss(d3ssl_batch()) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    model, found = narrow_d3ssl(), set()
    state = torch.get_rng_state()
    for step in range(12):
        found.add(tuple(model.compose(d3ssl_batch(), step=step).background.tolist()))
    assert found == {(1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)}
    assert torch.equal(state, torch.get_rng_state())  # and nobody else's draws move


def test_loss_falls_over_a_few_steps():
    model = narrow_d3ssl(queue_length=24)  # all negatives are replaced in the first step
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9
    )
    totals = []
    for iteration in range(12):
        model.clock.set(iteration=iteration, max_iterations=20)
        total = sum(model.loss(d3ssl_batch()).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        model.update_teacher()
        totals.append(total.item())
    assert totals[-1] < totals[1] - 0.5, totals


def test_boxes_of_the_second_view_are_matched_by_id():
    batch = d3ssl_batch()
    plain = narrow_d3ssl().loss(batch)
    order = torch.tensor([2, 0, 1])
    for key in ('boxes', 'box_ids'):
        batch[key][1] = batch[key][1][:, order]
    other = narrow_d3ssl().loss(batch)
    for name in plain:
        torch.testing.assert_close(plain[name], other[name])


def test_repeated_boxes_find_their_partner():
    model, batch = narrow_d3ssl(), d3ssl_batch()
    batch['box_ids'] = [torch.tensor([[5, 5, 8]] * 4), torch.tensor([[8, 5, 8]] * 4)]
    boxes = model.compose(batch).boxes['second']
    assert torch.equal(boxes, batch['boxes'][1][:, [1, 1, 0]])


def test_a_box_without_a_partner_is_refused():
    model, batch = narrow_d3ssl(), d3ssl_batch()
    batch['box_ids'][0] = batch['box_ids'][0].clone()
    batch['box_ids'][0][2, 1] = 99
    with pytest.raises(ValueError, match='no box with its id'):
        model.loss(batch)


def test_the_queue_fits_itself_to_the_data():
    model = narrow_d3ssl(queue_length=QUEUE)
    model.check_data(batch_size=5, num_images=100)
    assert model.queue.length == 90  # 3 steps of 5 images, 3 boxes, 2 views
    model = narrow_d3ssl(queue_length=QUEUE)
    model.check_data(batch_size=4, num_images=9)
    assert model.queue.length == 48  # no more than the 54 keys of an epoch
    with pytest.raises(ValueError, match='smaller batch'):
        narrow_d3ssl(queue_length=20).check_data(batch_size=4, num_images=100)
    with pytest.raises(ValueError, match='drop_last'):
        narrow_d3ssl(queue_length=25).loss(d3ssl_batch())
    with pytest.raises(ValueError, match='one image a step'):
        narrow_d3ssl(negatives='batch', with_depositioning_loss=False).check_data(
            batch_size=1, num_images=9
        )


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(decoupling=dict(type='DecouplingBranch')), 'DecouplingBranch'),
        (dict(with_decoupling_loss=False, with_depositioning_loss=False), 'both'),
        (dict(background='flip'), 'background'),
        (dict(negatives='all'), "'queue' or 'batch'"),
    ],
)
def test_unusable_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        narrow_d3ssl(**settings)


def test_a_batch_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='at least 2'):
        narrow_d3ssl().check_data(batch_size=1, num_images=100)
    narrow_d3ssl(with_depositioning_loss=False).check_batch_size(1)
    with pytest.raises(ValueError, match='num_boxes'):
        narrow_d3ssl(num_boxes=4).loss(d3ssl_batch())
    with pytest.raises(ValueError, match='small_size'):
        narrow_d3ssl(small_size=48).loss(d3ssl_batch())
    for key in ('boxes', 'box_ids', 'erase_small', 'paste', 'shift'):
        batch = d3ssl_batch()
        del batch[key]
        with pytest.raises(ValueError, match=key):
            narrow_d3ssl().loss(batch)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_losses_are_float32_under_autocast(dtype):
    exact = narrow_d3ssl().loss(d3ssl_batch())
    with torch.autocast('cpu', dtype=dtype):
        losses = narrow_d3ssl().loss(d3ssl_batch())
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], rtol=0.05, atol=0.05)


def test_a_loader_with_a_smaller_last_batch_is_refused_before_training():
    assert narrow_d3ssl().requires_drop_last  # build_runner asks, see tests/engine/test_launch.py
