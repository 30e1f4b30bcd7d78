"""Self-EMD: transport by reference numbers and invariants, the branch, two processes."""

import re
from functools import partial

import pytest
import torch

from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.earth_mover import cell_weights, earth_movers_distance, transport_plan
from tests.golden import Golden, assert_close
from tests.models.algorithms.double_batch import check_equal, merged, train, train_rank
from tests.models.tiny_maps import GivenMaps
from tests.models.tiny_resnet import two_views
from tests.models.tiny_selfemd import tiny_selfemd
from tests.models.tiny_slotcon import mlp
from tests.ranks import found_by_two

TOLERANCE, GRADIENTS = 1e-9, 1e-6


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden2/selfemd.npz'))


@pytest.mark.golden
def test_plans_distances_and_gradients(golden):
    floor = golden.number('cfg_weight_floor')
    unit = [
        torch.nn.functional.normalize(golden[f'{who}_raw'].flatten(2), dim=1).transpose(1, 2)
        for who in ('student', 'teacher')
    ]
    weights = [cell_weights(*unit[::step], floor=floor) for step in (1, -1)]
    for who, found in zip(('student', 'teacher'), weights, strict=True):
        assert_close(found, golden[f'weight_{who}'], TOLERANCE, who)
    cases = sorted({m[0] for name in golden if (m := re.match(r'sinkhorn\d+_', name))})
    assert cases
    for prefix in cases:
        case = golden.sub(prefix)
        settings = dict(epsilon=case.number('cfg_eps'), rounds=case.number('cfg_iters'))
        plan = transport_plan(golden['cost'], *weights, **settings)
        assert_close(plan, case['plan'], TOLERANCE, 'plan')
        assert (plan.sum(dim=1) - weights[1]).abs().max() < 1e-12
        raw = golden['student_raw'].requires_grad_()
        model = tiny_selfemd(epsilon=settings['epsilon'], rounds=settings['rounds'])
        model.transport['floor'] = floor
        found = earth_movers_distance(
            raw.flatten(2), golden['teacher_raw'].flatten(2), **model.transport
        )
        assert_close(found.detach(), case['out_emd'], TOLERANCE, 'distance')
        loss = 2 * found.mean()
        assert_close(loss.detach(), case['out_loss'], TOLERANCE, 'loss')
        loss.backward()
        assert_close(raw.grad, case['grad_student_raw'], GRADIENTS, 'gradient')


@pytest.mark.golden
def test_the_host_adds_both_directions(golden):
    """The file's maps for student and teacher of either view."""
    model = tiny_selfemd(weight_floor=golden.number('cfg_weight_floor')).double()
    case = golden.sub('sinkhorn0_')
    model.transport.update(epsilon=case.number('cfg_eps'), rounds=case.number('cfg_iters'))
    given, taught = golden['student_raw'], golden['teacher_raw']
    model._predict = lambda _: (given, given)
    model._teach = lambda _: (taught, taught)
    loss = model.loss(dict(views=[given, given]))['loss_emd']
    assert_close(loss, 2 * case['out_loss'], TOLERANCE)


@pytest.mark.golden
def test_many_rounds_of_a_small_epsilon_come_near_the_linear_programme(golden):
    maps = [golden[f'{who}_raw'].flatten(2) for who in ('student', 'teacher')]
    found = earth_movers_distance(*maps, epsilon=2e-3, rounds=2000)
    torch.testing.assert_close(found, golden['exact_emd'], rtol=0, atol=2e-3)


def test_the_order_of_cells_does_not_matter():
    u, v = torch.randn(2, 3, 6, 16, dtype=torch.float64)
    want = earth_movers_distance(u, v)
    torch.testing.assert_close(earth_movers_distance(u[..., torch.randperm(16)], v), want)
    torch.testing.assert_close(earth_movers_distance(u, v[..., torch.randperm(16)]), want)


def test_single_cells_give_byols_loss():
    u, v = torch.randn(2, 3, 6, 1, dtype=torch.float64)
    want = 2 - 2 * torch.cosine_similarity(u[..., 0], v[..., 0], dim=1)
    torch.testing.assert_close(2 * earth_movers_distance(u, v), want)


def test_equal_maps_of_unlike_cells_lie_near():
    cells = torch.eye(16, dtype=torch.float64)[None]
    assert earth_movers_distance(cells, cells, epsilon=0.02) < 1e-6
    assert earth_movers_distance(cells, cells.flip(1)) < 1e-6  # wherever they stand


def test_opposed_maps_leave_finite_weights():
    u = torch.nn.functional.normalize(torch.rand(1, 4, 6), dim=1).requires_grad_()
    loss = earth_movers_distance(u, -u.detach()).sum()
    loss.backward()
    assert 1 < loss.item() < 2
    weights = cell_weights(u.detach().transpose(1, 2), -u.detach().transpose(1, 2))
    torch.testing.assert_close(weights, torch.full((1, 6), 1 / 6))
    assert u.grad.isfinite().all()


def test_cells_that_are_not_kept_take_no_part():
    u, v = torch.randn(2, 2, 6, 9, dtype=torch.float64)
    keep = torch.zeros(2, 9, dtype=torch.bool)
    keep[0, [1, 4, 7]] = True
    u.requires_grad_()
    found = earth_movers_distance(u, v, keep=keep)
    alone = earth_movers_distance(u[:1, :, [1, 4, 7]], v[:1, :, [1, 4, 7]])
    torch.testing.assert_close(found[:1], alone)
    assert found[1] == 0
    found.sum().backward()
    assert u.grad.isfinite().all()
    assert not u.grad[1].any()


@pytest.mark.parametrize('objective', ['point', 'emd'])
def test_branch_compares_foreground_cells(objective):
    branch = dict(type='DecouplingBranch', sample_ratio=0.5, objective=objective)
    model, batch = tiny_selfemd(decoupling=branch), two_views()
    views = model.decoupling.compose(batch)
    features = model.dense_features(views.images)
    targets = torch.randn(8, 8, 4, 4)
    found = model.dense_loss(features, targets, views.foreground, objective=objective)
    keep, want = views.foreground.cells(4, 4), 0
    for sample in range(8):
        u, v = features[sample][:, keep[sample]], targets[sample][:, keep[sample]]
        if objective == 'point':
            want += (2 - 2 * torch.cosine_similarity(u, v, dim=0)).mean() / 8
        else:
            want += 2 * earth_movers_distance(u[None], v[None])[0] / 8
    torch.testing.assert_close(found, want)
    nothing = Foreground(torch.zeros_like(views.foreground.keep), 0.5)
    assert model.dense_loss(features, targets, nothing, objective=objective) == 0
    assert model.loss(batch)['loss_decoupling'] > 0


def test_branch_leaves_the_hosts_own_loss_and_buffers():
    plain, host = tiny_selfemd(), tiny_selfemd(decoupling=dict(type='DecouplingBranch'))
    want, found = plain.loss(two_views()), host.loss(two_views())
    assert found['loss_emd'] == want['loss_emd'] * 0.7
    for name, value in plain.named_buffers():
        assert value.equal(dict(host.named_buffers())[name]), name


def test_maps_may_be_oblong():
    model = tiny_selfemd(backbone=GivenMaps(), neck=mlp(5, 8, 8, num_layers=1), head=mlp(8, 8, 8))
    loss = model.loss(dict(views=[torch.randn(4, 5, 3, 6), torch.randn(4, 5, 2, 4)]))['loss_emd']
    assert 0 < loss < 8


def test_settings_and_batches_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match='rounds is 0, give at least 1'):
        tiny_selfemd(rounds=0)
    with pytest.raises(ValueError, match='SelfEMD needs two views; the batch has 1'):
        tiny_selfemd().loss(dict(views=[torch.zeros(2, 3, 32, 32)]))


def host():
    norm = dict(type='GN', num_groups=2)
    return tiny_selfemd(norm=norm, decoupling=dict(type='DecouplingBranch')).double()


def parts() -> dict[str, dict]:
    batches = {name: two_views(4, seed=seed) for name, seed in (('A', 11), ('B', 12))}
    return {n: dict(b, views=[view.double() for view in b['views']]) for n, b in batches.items()}


@pytest.mark.slow
def test_two_processes_equal_one_with_the_double_batch(tmp_path):
    model = host()
    train(model, merged(parts()), lr=0.05)
    rank = partial(train_rank, host=host, parts=parts, lr=0.05)
    check_equal(model, *found_by_two(rank, tmp_path))
