"""DenseDistillation: what is compared, what is kept, and what never moves."""

import copy

import pytest
import torch
from mmengine.runner import save_checkpoint
from torch.nn.modules.batchnorm import _BatchNorm

from mmdssl.models.algorithms.dense_distillation import DenseDistillation
from tests.models.tiny import tiny_batch
from tests.models.tiny_resnet import two_views

BRANCH = dict(type='DecouplingBranch', sample_ratio=0.25)


def resnet(**settings) -> dict:
    """ResNet-18 with 4 to 32 channels; maps of 8x8, 4x4 and 4x4 cells for 32 px."""
    narrow = dict(stem_channels=4, base_channels=4, strides=(1, 1, 2, 1), out_indices=(1, 3))
    return dict(type='ResNet', depth=18, zero_init_residual=False, **{**narrow, **settings})


def vit() -> dict:
    arch = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)
    return dict(type='DenseViT', arch=arch, img_size=32, patch_size=8)


def host(backbone: dict | None = None, *, moved: float = 0.0, **settings) -> DenseDistillation:
    """Weights from seed 0, BatchNorms that know images, a student ``moved`` off its teacher."""
    torch.manual_seed(0)
    model = DenseDistillation(**{**dict(backbone=backbone or resnet(), init='random'), **settings})
    model.init_weights()
    model.backbone.train()
    with torch.no_grad():
        model.backbone(torch.randn(16, 3, 32, 32) * 2 + 1)
        model.teacher.copy_from(dict(backbone=model.backbone))
        for parameter in model.backbone.parameters():
            parameter += moved * torch.randn_like(parameter)
    model.train()
    model.clock.set(iteration=0, max_iterations=10)
    return model


def cosine(one: torch.Tensor, two: torch.Tensor) -> float:
    return float(one @ two / one.norm() / two.norm())


def test_loss_compares_every_cell_of_every_map_and_x_d_in_its_foreground_only():
    """Recomputed cell by cell, with nothing of the model but its networks."""
    batch = two_views()
    model = host(moved=0.02, decoupling=dict(BRANCH, weight=0.4))
    got = model.loss(batch)
    images, keep, decoupled = batch['views'][0], [], []
    with torch.no_grad():
        pairs = zip(model.backbone(images), model.teacher.backbone(images), strict=True)
        for student, teacher in pairs:
            _, _, rows, columns = student.shape
            keep.append(
                [
                    1 - cosine(student[n, :, y, x], teacher[n, :, y, x])
                    for n in range(8)
                    for y in range(rows)
                    for x in range(columns)
                ]
            )
        chosen = model.decoupling.compose(batch).selections[0].index.tolist()
        assert len(chosen) == 2
        masks = batch['dc_mask'][0]
        # The branch turns the batch round for backgrounds.
        mixed = torch.stack([torch.where(masks[i], images[7 - i], images[i]) for i in chosen])
        pairs = zip(model.backbone(mixed), model.teacher.backbone(images[chosen]), strict=True)
        for student, teacher in pairs:
            samples = []
            for n, index in enumerate(chosen):
                _, _, rows, columns = student.shape
                side = 32 // rows
                cells = [
                    1 - cosine(student[n, :, y, x], teacher[n, :, y, x])
                    for y in range(rows)
                    for x in range(columns)
                    if not masks[index][y * side : y * side + side, x * side : x * side + side]
                    .float()
                    .mean()
                    > 0.5
                ]
                samples.append(sum(cells) / len(cells))
            decoupled.append(sum(samples) / len(samples))
    mean = sum(sum(each) / len(each) for each in keep) / 2
    assert mean > 0.001  # else the comparison shows nothing
    torch.testing.assert_close(got['loss_keep'].item(), 0.6 * mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        got['loss_decoupling'].item(), 0.4 * sum(decoupled) / 2, rtol=1e-4, atol=1e-6
    )


def test_x_d_outside_its_foreground_has_no_part_in_the_loss():
    model = host(moved=0.02, decoupling=BRANCH)
    views = model.decoupling.compose(two_views())
    features = model.dense_features(views.images)
    targets = model.dense_targets(views.key_views, ())
    changed = tuple(
        torch.where(views.foreground.cells(*x.shape[2:])[:, None], x, x + 9.0) for x in features
    )
    assert not all(torch.equal(a, b) for a, b in zip(features, changed, strict=True))
    one, two = (model.dense_loss(x, targets, views.foreground) for x in (features, changed))
    assert one == two > 0


@pytest.mark.parametrize(('backbone', 'batch'), [(resnet(), two_views()), (vit(), tiny_batch())])
def test_a_frozen_teacher_gets_no_gradient_and_keeps_its_statistics(backbone, batch):
    model = host(backbone, norm_eval=False, decoupling=BRANCH)
    before = copy.deepcopy(model.teacher.state_dict())
    for _ in range(2):
        sum(model.loss(batch).values()).backward()
        with torch.no_grad():
            for parameter in model.backbone.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
        model.update_teacher()
    assert all(parameter.grad is None for parameter in model.teacher.parameters())
    after = model.teacher.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert any(
        not torch.equal(value, before[f'backbone.{name}'])
        for name, value in model.backbone.state_dict().items()
    )


def test_a_slow_teacher_follows_by_its_momentum():
    model = host(moved=0.02, momentum=(0.9, 0.9))
    student, teacher = (x.conv1.weight.clone() for x in (model.backbone, model.teacher.backbone))
    model.update_teacher()
    torch.testing.assert_close(model.teacher.backbone.conv1.weight, 0.9 * teacher + 0.1 * student)


@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval_keeps_the_statistics_and_without_it_x_d_stays_out_of_them(norm_eval):
    batch = two_views()
    model = host(norm_eval=norm_eval, decoupling=BRANCH)
    alone = copy.deepcopy(model.backbone)
    alone.train()
    before = {n: b.clone() for n, b in model.backbone.named_buffers()}
    losses = model.loss(batch)
    norms = [part for part in model.backbone.modules() if isinstance(part, _BatchNorm)]
    assert norms
    assert all(part.training != norm_eval for part in norms)
    if not norm_eval:
        alone(batch['views'][0])  # what one pass of X leaves
        before = dict(alone.named_buffers())
    for name, value in model.backbone.named_buffers():
        assert torch.equal(value, before[name]), name
    # A student equal to its teacher has nothing to learn of X where it normalises alike.
    assert (losses['loss_keep'] < 1e-6) == norm_eval
    assert losses['loss_decoupling'] > 1e-4


def test_without_a_branch_a_given_backbone_does_not_move():
    model = host()
    losses = model.loss(two_views())
    assert losses.keys() == {'loss_keep'}
    losses['loss_keep'].backward()
    assert all(p.grad is None or p.grad.abs().max() < 1e-6 for p in model.backbone.parameters())


def test_both_start_from_the_file_and_a_module_keeps_its_weights(tmp_path):
    given = host(moved=0.1).backbone
    file = tmp_path / 'backbone.pth'
    save_checkpoint(
        dict(state_dict={f'backbone.{n}': v for n, v in given.state_dict().items()}), str(file)
    )
    for model in (
        DenseDistillation(backbone=resnet(), init=str(file)),
        DenseDistillation(backbone=copy.deepcopy(given), init='given'),
    ):
        model.init_weights()
        for backbone in (model.backbone, model.teacher.backbone):
            for name, value in backbone.state_dict().items():
                assert torch.equal(value, given.state_dict()[name]), name


def test_training_goes_on_where_it_stopped():
    """Weights of student and teacher are all there is to keep: two steps equal one and one."""
    batch = two_views()

    def steps(model: DenseDistillation, first: int, count: int) -> None:
        for iteration in range(first, first + count):
            model.clock.set(iteration=iteration, max_iterations=10)
            model.zero_grad()
            sum(model.loss(batch).values()).backward()
            with torch.no_grad():
                for parameter in model.backbone.parameters():
                    if parameter.grad is not None:
                        parameter -= 0.05 * parameter.grad
            model.update_teacher()

    settings = dict(moved=0.02, decoupling=dict(BRANCH, background='random'), momentum=(0.9, 1.0))
    through, stopped, resumed = host(**settings), host(**settings), host(init='random')
    steps(through, 0, 2)
    steps(stopped, 0, 1)
    resumed = host(**{**settings, 'moved': 0.0})
    resumed.load_state_dict(stopped.state_dict())
    steps(resumed, 1, 1)
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, through.state_dict()[name]), name


def test_refusals_say_what_to_do(tmp_path):
    with pytest.raises(ValueError, match='set init to its checkpoint'):
        DenseDistillation(backbone=resnet())
    with pytest.raises(FileNotFoundError, match=r'model\.init=FILE'):
        DenseDistillation(backbone=resnet(), init=str(tmp_path / 'none.pth')).init_weights()
    with pytest.raises(ValueError, match="out_type='featmap'"):
        host(dict(vit(), out_type='cls_token')).loss(tiny_batch())
    with pytest.raises(ValueError, match='has no objective'):
        host(decoupling=dict(BRANCH, objective='all'))
