"""The branch on mmpretrain's BYOL: its loss stays as it was, foreground cells are compared."""

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models.selfsup import BYOL

from mmdssl.models.foreground import Foreground
from projects.byol.decoupled_byol import DecoupledBYOL

SIDE, GRID = 32, 4
BRANCH = dict(type='DecouplingBranch', key_views=(0, 1))


def mlp(width: int, **kwargs) -> dict:
    return dict(
        type='NonLinearNeck',
        in_channels=width,
        hid_channels=16,
        out_channels=8,
        with_last_bn=False,
        norm_cfg=dict(type='BN1d'),
        **kwargs,
    )


def parts() -> dict:
    return dict(
        backbone=dict(
            type='ResNet',
            depth=18,
            stem_channels=4,
            base_channels=4,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 1, 1),
            zero_init_residual=False,
        ),
        neck=mlp(32),
        head=dict(
            type='LatentPredictHead',
            loss=dict(type='CosineSimilarityLoss'),
            predictor=mlp(8, with_avg_pool=False),
        ),
        data_preprocessor=dict(type='mmdssl.MultiViewPreprocessor'),
    )


def tiny_host(cls: type = DecoupledBYOL, **kwargs):
    torch.manual_seed(0)
    model = cls(**parts(), **kwargs)
    model.init_weights()
    if cls is DecoupledBYOL:
        model.clock.set(iteration=0, max_iterations=10)
    return model.train()


def make_batch(size: int = 8) -> dict:
    make = torch.Generator().manual_seed(1)
    views = [torch.randn(size, 3, SIDE, SIDE, generator=make) for _ in range(2)]
    masks = [torch.rand(size, GRID, GRID, generator=make) < 0.4 for _ in range(2)]
    grown = [mask.repeat_interleave(8, 1).repeat_interleave(8, 2) for mask in masks]
    return dict(views=views, dc_mask=grown)


def buffers(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.named_buffers()}


def test_main_loss_is_mmpretrains_and_the_branch_only_weighs_it():
    batch = make_batch()
    original, plain, branched = tiny_host(BYOL), tiny_host(), tiny_host(decoupling=BRANCH)
    want = original.loss(batch['views'], [])['loss']
    alone = plain.loss(batch)
    assert list(alone) == ['loss_byol']
    assert torch.equal(alone['loss_byol'], want)
    before = torch.get_rng_state()
    losses = branched.loss(batch)
    assert torch.equal(losses['loss_byol'], want * (1 - 0.3))
    assert torch.equal(torch.get_rng_state(), before)
    assert losses['loss_decoupling'].isfinite()
    # BatchNorm, of student and target network, has seen what it would see without the branch.
    for model in (plain, branched):
        seen = buffers(model)
        assert all(torch.equal(seen[name], value) for name, value in buffers(original).items())


def test_target_network_sees_each_view_once_with_and_without_the_branch():
    for branch in (None, BRANCH):
        model, seen = tiny_host(decoupling=branch), []
        model.target_net.module[0].register_forward_hook(lambda _, x, __, s=seen: s.append(x[0]))
        batch = make_batch()
        model.loss(batch)
        assert [x is view for x, view in zip(seen, batch['views'], strict=True)] == [True, True]


def test_a_training_step_moves_every_parameter_but_the_target_networks():
    model = tiny_host(decoupling=dict(BRANCH, weight=0.5))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    total = sum(model.loss(make_batch()).values())  # copies the student to the target network
    before = {name: value.clone() for name, value in model.named_parameters()}
    total.backward()
    optimizer.step()
    for name, value in model.named_parameters():
        assert torch.equal(before[name], value) == name.startswith('target_net.'), name


def dense_case(keep: torch.Tensor):
    model = tiny_host()
    make = torch.Generator().manual_seed(3)
    features, targets = (torch.randn(2, 32, GRID, GRID, generator=make) for _ in range(2))
    foreground = Foreground(keep=keep, threshold=0.5)
    return model, features.requires_grad_(), targets, foreground


def test_branch_compares_foreground_cells_at_equal_positions():
    keep = torch.rand(2, GRID, GRID, generator=torch.Generator().manual_seed(4)) < 0.5
    model, features, targets, foreground = dense_case(keep)
    loss = model.dense_loss(features, targets, foreground)
    cells = keep.nonzero().tolist()
    student = torch.stack([features[n, :, i, j] for n, i, j in cells])
    teacher = torch.stack([targets[n, :, i, j] for n, i, j in cells])

    def through(net, x):
        hidden = F.linear(x, net.fc0.weight, net.fc0.bias)
        hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + 1e-5).sqrt()
        return F.linear(F.relu(hidden), net.fc1.weight, net.fc1.bias)

    predicted = through(model.head.predictor, through(model.neck, student))
    wanted = through(model.target_net.module[1], teacher)
    cosines = F.cosine_similarity(predicted, wanted)
    torch.testing.assert_close(loss, -4 * cosines.mean(), atol=1e-5, rtol=1e-5)


def test_no_gradient_through_the_background():
    keep = torch.rand(2, GRID, GRID, generator=torch.Generator().manual_seed(4)) < 0.5
    model, features, targets, foreground = dense_case(keep)
    targets.requires_grad_()
    model.dense_loss(features, targets, foreground).backward()
    gradient = features.grad.abs().sum(dim=1)  # (n, h, w)
    assert gradient[~keep].max() == 0
    assert gradient[keep].min() > 0
    assert targets.grad is None


def test_hardly_any_foreground_is_no_loss():
    keep = torch.zeros(2, GRID, GRID, dtype=torch.bool)
    model, features, targets, foreground = dense_case(keep)
    loss = model.dense_loss(features, targets, foreground)
    loss.backward()
    assert loss == 0


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='no patch embedding to mix at'):
        tiny_host(decoupling=dict(BRANCH, mix_level='patch_embed'))
    with pytest.raises(ValueError, match='at least 4'):
        tiny_host(decoupling=BRANCH).loss(make_batch(3))
