"""What all branches share: time, weight, names, and that a host does not notice one that rests."""

import copy

import pytest
import torch
from torch import nn

from mmdssl.models.branches import Branch, BranchLoss
from mmdssl.registry import MODELS
from tests.golden import Golden
from tests.models.tiny import tiny_batch, tiny_ibot
from tests.models.tiny_resnet import tiny_densecl, two_views

DECOUPLING = dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.5)
GRAM = dict(type='GramAnchoring', scale=1)
KERNEL = dict(type='PatchKernelAlignment', head=dict(hidden_channels=8, out_channels=4))
HOSTS = {'ibot': (tiny_ibot, tiny_batch), 'densecl': (tiny_densecl, two_views)}


@MODELS.register_module()
class Length(Branch):
    """The shortest branch there is: mean squared length of the student's patches."""

    name = 'length'

    def compute(self, host, inputs, targets, *, step):
        return torch.stack([x.square().mean() for x in targets.student.values()]).mean()


def train(model, batch, *, steps: int = 3) -> list[dict[str, float]]:
    """Losses of some steps of SGD."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    found = []
    torch.manual_seed(5)
    for step in range(steps):
        model.clock.set(iteration=step, max_iterations=10, iterations_per_epoch=2)
        losses = model(batch, mode='loss')
        optimizer.zero_grad()
        sum(loss for name, loss in losses.items() if 'loss' in name).backward()
        optimizer.step()
        model.update_teacher()
        found.append({name: loss.item() for name, loss in losses.items()})
    return found


def holds(model, part) -> bool:
    """Whether a model has all weights and buffers of another, bit for bit."""
    mine = model.state_dict()
    return all(torch.equal(value, mine[key]) for key, value in part.state_dict().items())


@pytest.mark.parametrize('name', HOSTS)
def test_decoupling_is_the_list_of_one(name):
    build, batch = HOSTS[name]
    short = build(decoupling=DECOUPLING)
    long = build(branches=[DECOUPLING])
    assert short.state_dict().keys() == build().state_dict().keys() == long.state_dict().keys()
    assert train(short, batch()) == train(long, batch())
    assert short.decoupling is short.branches['decoupling']


@pytest.mark.parametrize('name', HOSTS)
def test_at_weight_zero_a_host_is_one_without_branches_bit_for_bit(name):
    build, batch = HOSTS[name]
    plain, resting = build(), build(branches=[dict(b, weight=0.0) for b in (GRAM, KERNEL)])
    assert holds(resting, plain)  # building a branch has moved no draw of the host
    one, other = train(plain, batch()), train(resting, batch())
    for want, got in zip(one, other, strict=True):
        assert got == {**want, 'loss_gram': 0.0, 'loss_patch_kernel': 0.0}
    assert holds(resting, plain)


@pytest.mark.parametrize('name', HOSTS)
def test_branches_scale_the_hosts_losses_only_as_they_say(name):
    """De-coupling takes 1 - weight of the host's own losses, and nothing of the others'."""
    build, batch = HOSTS[name]
    (plain,) = train(build(), batch(), steps=1)
    convex = dict(DECOUPLING, loss_weighting='convex')
    (both,) = train(build(branches=[dict(type='Length', weight=2.0), convex]), batch(), steps=1)
    (alone,) = train(build(branches=[dict(type='Length', weight=1.0)]), batch(), steps=1)
    for key, value in plain.items():
        assert both[key] == pytest.approx(0.7 * value, rel=1e-6)
        assert alone[key] == value
    assert both['loss_length'] == pytest.approx(2 * alone['loss_length'], rel=1e-6)


@pytest.mark.parametrize(
    ('settings', 'weights'),
    [
        (dict(start=2, end=4), [0, 0, 3, 3, 0, 0]),
        (dict(start=1, end=2, by_epoch=True), [0, 0, 3, 3, 0, 0]),
        (dict(start=1, by_epoch=True), [0, 0, 3, 3, 3, 3]),
        (dict(start=1, warmup=3), [0, 0, 1.5, 3, 3, 3]),
    ],
)
def test_weight_follows_start_end_and_warmup(settings, weights):
    model = tiny_ibot()
    branch = Length(weight=3.0, **settings)
    found = []
    for step in range(6):
        model.clock.set(iteration=step, max_iterations=6, iterations_per_epoch=2)
        found.append(branch.weight_now(model))
    assert found == pytest.approx(weights, abs=1e-12)


@pytest.mark.golden
def test_warmup_is_that_of_the_published_gram_schedule(shared):
    golden = Golden.load(shared('golden3/gram_loss.npz'))
    length, epochs, wait, rise, start, peak, end = golden['schedule_cfg'].tolist()
    if start or peak:
        pytest.skip('a schedule that does not begin at 0 is not ours')
    branch = Length(weight=end, start=int(wait), by_epoch=True, warmup=int(rise * length))
    model = tiny_ibot()
    for step, want in enumerate(golden['schedule_weight'].tolist()):
        model.clock.set(
            iteration=step, max_iterations=int(length * epochs), iterations_per_epoch=int(length)
        )
        assert branch.weight_now(model) == pytest.approx(want, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize('branch', [DECOUPLING, GRAM, KERNEL], ids=lambda b: b['type'])
@pytest.mark.parametrize('name', HOSTS)
def test_a_branch_outside_of_its_time_leaves_the_step_alone(name, branch):
    build, batch = HOSTS[name]
    model = build(branches=[dict(branch, start=1, end=2)])
    (want, *_), found = train(build(), batch(), steps=1), train(model, batch())
    (key,) = found[0].keys() - want.keys()
    assert found[0] == {**want, key: 0.0}
    assert found[1][key] > 0
    assert found[2][key] == 0


@pytest.mark.parametrize('name', HOSTS)
def test_gradients_reach_the_student_and_parts_that_are_trained_alone(name):
    build, batch = HOSTS[name]
    model = build(branches=[GRAM, KERNEL])
    # A copy equal to the student: its Gram matrices are equal, too, and so is nothing to learn.
    for parameter in model.branches['gram'].teacher.parameters():
        if parameter.is_floating_point():
            parameter.data.mul_(1.1)
    model.branches['gram'].teacher_from = 99
    losses = model.loss(batch())
    (losses['loss_gram'] + losses['loss_patch_kernel']).backward()
    moved = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    parts = {name.split('.')[0] if 'branches' not in name else name[:28] for name in moved}
    assert parts == {'backbone', *(f'branches.patch_kernel.head.{i}' for i in (0, 2, 4))}


@pytest.mark.parametrize('name', HOSTS)
def test_losses_are_computed_in_float32_under_bfloat16(name):
    build, batch = HOSTS[name]
    model = build(branches=[GRAM, KERNEL])
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(batch())
    assert losses['loss_gram'].dtype == losses['loss_patch_kernel'].dtype == torch.float32
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_trained_part_follows_the_moving_average_of_the_host():
    model = tiny_ibot(branches=[KERNEL], momentum=(0.5, 0.5))
    head, teacher = model.branches['patch_kernel'].head, model.teacher.patch_kernel_head
    assert torch.equal(head[0].weight, teacher[0].weight)
    before = copy.deepcopy(head)
    head[0].weight.data += 1
    model.update_teacher()
    torch.testing.assert_close(teacher[0].weight, before[0].weight + 0.5)
    assert not any(p.requires_grad for p in teacher.parameters())


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(weight=-1), 'weight is -1'),
        (dict(start=3, end=3), 'end=3 is not after start=3'),
        (dict(warmup=-2), 'warmup is -2'),
        (dict(name='a.b'), "name is 'a.b'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Length(**settings)


def test_two_branches_need_two_names():
    with pytest.raises(ValueError, match="two branches are named 'length'"):
        tiny_ibot(branches=[dict(type='Length'), dict(type='Length')])
    twice = tiny_ibot(branches=[dict(type='Length'), dict(type='Length', name='other')])
    assert {'loss_length', 'loss_other'} < twice.loss(tiny_batch()).keys()


def test_what_is_no_branch_is_refused():
    with pytest.raises(TypeError, match='Identity is no Branch'):
        tiny_ibot(branches=[dict(type=nn.Identity)])


def test_result_and_weight_make_the_entry():
    losses = {'loss_a': torch.tensor(2.0)}
    found = Length().combine(losses, BranchLoss(torch.tensor(3.0), 0.5, host_weight=0.25))
    assert found == {'loss_a': 0.5, 'loss_length': 1.5}
