"""The branch on mmpretrain's SimMIM: its loss stays as it was, hidden foreground is predicted."""

import pytest
import torch
from mmpretrain.models.selfsup import SimMIM
from mmpretrain.structures import DataSample

from mmdssl.models.foreground import Foreground
from projects.simmim.decoupled_simmim import DecoupledSimMIM

SIDE, PATCH, GRID = 32, 8, 4
BRANCH = dict(type='DecouplingBranch')


def parts() -> dict:
    return dict(
        backbone=dict(
            type='mmdssl.MaskedViT',
            arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
            img_size=SIDE,
            patch_size=PATCH,
        ),
        neck=dict(type='SimMIMLinearDecoder', in_channels=24, encoder_stride=PATCH),
        head=dict(
            type='SimMIMHead',
            patch_size=PATCH,
            loss=dict(type='PixelReconstructionLoss', criterion='L1', channel=3),
        ),
        data_preprocessor=dict(type='mmdssl.MultiViewPreprocessor'),
    )


def tiny_host(cls: type = DecoupledSimMIM, **kwargs):
    torch.manual_seed(0)
    model = cls(**parts(), **kwargs)
    model.init_weights()
    if cls is DecoupledSimMIM:
        model.clock.set(iteration=0, max_iterations=10)
    return model.train()


def make_batch(size: int = 8) -> dict:
    make = torch.Generator().manual_seed(1)

    def masks():
        return [torch.rand(size, GRID, GRID, generator=make) < 0.5]

    images = torch.randn(size, 3, SIDE, SIDE, generator=make)
    return dict(views=[images], mask=masks(), dc_mask=masks())


def test_main_loss_is_mmpretrains_and_the_branch_only_weighs_it():
    batch = make_batch()
    samples = [DataSample(mask=mask) for mask in batch['mask'][0]]
    want = tiny_host(SimMIM).loss(batch['views'][0], samples)['loss']
    plain, branched = tiny_host(), tiny_host(decoupling=BRANCH)
    assert {n: v.shape for n, v in plain.state_dict().items()} == {
        n: v.shape for n, v in branched.state_dict().items()
    }
    assert list(plain.loss(batch)) == ['loss_simmim']
    assert torch.equal(plain.loss(batch)['loss_simmim'], want)
    before = torch.get_rng_state()
    losses = branched.loss(batch)
    assert torch.equal(losses['loss_simmim'], want * (1 - 0.3))
    assert losses['loss_decoupling'] > 0
    assert torch.equal(torch.get_rng_state(), before)  # nor the draws of the next step


@pytest.mark.parametrize('mix_level', ['pixel', 'patch_embed'])
def test_a_training_step_moves_every_parameter(mix_level):
    model = tiny_host(decoupling=dict(BRANCH, mix_level=mix_level, weight=0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {name: value.clone() for name, value in model.named_parameters()}
    totals = []
    for iteration in range(8):
        model.clock.set(iteration=iteration, max_iterations=10)
        total = sum(model.loss(make_batch()).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < totals[0]
    still = [name for name, value in model.named_parameters() if torch.equal(before[name], value)]
    assert not still


def test_branch_predicts_pixels_that_are_hidden_and_foreground():
    model = tiny_host()
    images = make_batch(3)['views'][0]
    keep = make_batch(3)['dc_mask'][0]
    features = model.dense_features(images)
    loss = model.dense_loss(features, images, Foreground(keep=keep, threshold=0.5))
    prediction, hidden = features
    errors = []
    for n, row, column in (hidden & keep).nonzero().tolist():
        cut = (n, slice(None), slice(row * PATCH, (row + 1) * PATCH))
        cut += (slice(column * PATCH, (column + 1) * PATCH),)
        errors.append((prediction[cut] - images[cut]).abs().mean())
    assert 0 < len(errors) < int(keep.sum())
    torch.testing.assert_close(loss, torch.stack(errors).mean())


def test_share_of_hidden_patches_and_a_draw_of_its_own_for_every_step():
    model = tiny_host(hide=0.25)
    images = torch.randn(64, 3, SIDE, SIDE)
    first = model.dense_features(images)[1]
    assert first.float().mean() == pytest.approx(0.25, abs=0.05)
    assert torch.equal(model.dense_features(images)[1], first)
    model.clock.set(iteration=1, max_iterations=10)
    assert not torch.equal(model.dense_features(images)[1], first)


def test_no_gradient_through_the_background():
    model = tiny_host()
    batch = make_batch(2)
    images, cut = batch['views'][0], batch['dc_mask'][0]
    background = torch.randn_like(images).requires_grad_()
    prediction, hidden = model.dense_features(
        images, background=background, background_mask=cut, detach_background=True
    )
    prediction.retain_grad()
    foreground = Foreground(keep=~cut, threshold=0.5)
    model.dense_loss((prediction, hidden), images, foreground).backward()
    pixels = cut.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)
    gradient = prediction.grad.abs().sum(dim=1)  # (n, H, W)
    assert gradient[pixels].max() == 0
    assert gradient[~pixels].max() > 0
    assert background.grad is None
    assert model.backbone.patch_embed.projection.weight.grad.abs().max() > 0


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="no objective 'average'"):
        tiny_host(decoupling=dict(BRANCH, objective='average'))
    with pytest.raises(ValueError, match='at least 4'):
        tiny_host(decoupling=BRANCH).loss(make_batch(3))


def test_backbone_is_measured_as_any_other():
    model = tiny_host()
    maps = model.get_backbone()(torch.randn(2, 3, SIDE, SIDE))
    assert maps[0].shape == (2, 24, GRID, GRID)
