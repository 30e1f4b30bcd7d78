"""SoCo learns, its teacher follows, and its de-coupling reads the foreground of boxes only."""

import copy
import math

import pytest
import torch
from torch import nn

from mmdssl.models.foreground import Foreground
from mmdssl.models.utils.region_features import c4_map
from tests.models.algorithms.narrow_soco import SIDE, narrow_soco, soco_batch

BRANCH = dict(type='DecouplingBranch')


def buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.named_buffers()}


def test_loss_falls_over_a_few_steps():
    model = narrow_soco(decoupling=BRANCH)
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9
    )
    batch, totals = soco_batch(), []
    for iteration in range(8):
        model.clock.set(iteration=iteration, max_iterations=20)
        total = sum(model.loss(batch).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        model.update_teacher()
        totals.append(total.item())
    assert totals[-1] < totals[0] - 0.5


def test_every_student_parameter_learns_and_no_teacher_parameter():
    model = narrow_soco(decoupling=BRANCH)
    sum(model.loss(soco_batch()).values()).backward()
    for name, parameter in model.named_parameters():
        if name.startswith('teacher.'):
            assert parameter.grad is None
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_teacher_has_no_predictor_and_student_is_evaluated():
    model = narrow_soco()
    assert {name for name, _ in model.teacher.named_children()} == {'backbone', 'neck'}
    assert model.get_backbone() is model.backbone


def test_teacher_keeps_running_statistics_of_its_own():
    model = narrow_soco()
    model.loss(soco_batch())
    before = buffers(model.teacher)
    assert not torch.equal(before['backbone.bn1.running_mean'], torch.zeros(4))
    model.update_teacher()
    assert all(torch.equal(before[k], v) for k, v in model.teacher.named_buffers())


def test_loss_does_not_depend_on_the_order_of_boxes():
    model, batch = narrow_soco(), soco_batch()
    plain = copy.deepcopy(model).loss(batch)['loss_region']
    order = [2, 0, 3, 1]
    batch['boxes'][1] = batch['boxes'][1][:, order]
    batch['box_ids'][1] = batch['box_ids'][1][:, order]
    assert torch.allclose(model.loss(batch)['loss_region'], plain, atol=1e-5)


@pytest.mark.parametrize('reaugment', [False, 'both'])
def test_branch_leaves_main_loss_and_batch_norm_bit_equal(reaugment):
    batch = soco_batch()
    batch.update(raw=batch['views'], recolor=lambda images, view: images * 0.5)
    plain, branched = narrow_soco(), narrow_soco(decoupling=dict(**BRANCH, reaugment=reaugment))
    one, two = plain.loss(batch), branched.loss(batch)
    assert torch.equal(one['loss_region'] * (1 - 0.3), two['loss_region'])
    after = buffers(branched)
    assert all(torch.equal(value, after[name]) for name, value in buffers(plain).items())
    assert two['loss_decoupling'].abs() > 1e-4


def test_branch_compares_with_the_teacher_of_the_same_box():
    """Nothing masked and X^D = X: what is left is each net's cosine at equal boxes."""
    model, batch = narrow_soco(decoupling=dict(**BRANCH, sample_ratio=1.0)), soco_batch()
    batch['dc_mask'] = [torch.zeros_like(mask) for mask in batch['dc_mask']]
    torch.nn.init.zeros_(model.head.fc1.weight)
    torch.nn.init.ones_(model.head.fc1.bias)  # every prediction is (1, ..., 1)
    result = model.decoupling(
        model,
        batch,
        {
            view: dict(
                projection=torch.full((8, 4, 12), 1.0 - 2 * view),  # +1 for view 0, -1 for view 1
                boxes=batch['boxes'][view],
            )
            for view in (0, 1)
        },
    )
    assert result.loss.abs() < 1e-5  # -2 and +2
    model.decoupling.key_views = (0,)
    boxes = dict(projection=torch.ones(8, 4, 12), boxes=batch['boxes'][0])
    assert model.decoupling(model, batch, {0: boxes}).loss.item() == pytest.approx(-2, abs=1e-5)


def test_dense_loss_is_summed_over_key_views_like_the_main_loss():
    batch = soco_batch()
    batch['dc_mask'] = [torch.zeros_like(mask) for mask in batch['dc_mask']]
    totals = {}
    for reduction in ('sum', 'mean'):
        model = narrow_soco(decoupling=BRANCH, dense_reduction=reduction)
        totals[reduction] = model.loss(batch)['loss_decoupling']
    assert torch.allclose(totals['sum'], 2 * totals['mean'])


class Pointwise(nn.Module):
    """A 'ResNet' of 1x1 convolutions at full resolution: every cell sees one pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1, self.relu = nn.Conv2d(3, 8, 1), nn.Identity(), nn.Identity()
        self.maxpool = self.layer1 = self.layer2 = self.layer3 = nn.Identity()
        self.layer4 = nn.Conv2d(8, 128, 1)


def half_foreground(model, keep_columns: int, boxes: torch.Tensor):
    """L_D and its gradient by the pixels, left columns kept."""
    for module in (model.head, model.neck):
        module.eval()  # no batch statistics: they mix all samples
    images = torch.randn(len(boxes), 3, SIDE, SIDE, requires_grad=True)
    keep = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.bool)
    keep[:, :, :keep_columns] = True
    targets = dict(projection=torch.randn(len(boxes), boxes.shape[1], 12), boxes=boxes)
    loss = model.dense_loss(model.dense_features(images), targets, Foreground(keep, 0.5))
    (gradient,) = torch.autograd.grad(loss, images)
    return loss, gradient


def test_no_gradient_reaches_background_pixels():
    torch.manual_seed(0)
    model = narrow_soco(backbone=Pointwise(), roi_size=8)
    boxes = torch.tensor([[[8.0, 8, 56, 56], [0, 0, 64, 64]]]).expand(2, 2, 4)
    _, gradient = half_foreground(model, 32, boxes)
    # RoIAlign's bilinear samples straddle the border by a pixel
    assert gradient[..., 33:].abs().max() == 0
    assert gradient[..., 8:31, 8:31].abs().max() > 0
    assert gradient[..., 4, 4].abs().max() > 0


def test_boxes_without_foreground_are_passed_over():
    torch.manual_seed(0)
    model = narrow_soco(backbone=Pointwise(), roi_size=8)
    kept, gone = [0.0, 0, 32, 32], [34.0, 0, 64, 64]
    barely = [30.6, 0, 62.6, 64]  # 1.4 of 32 columns: 4.4 %
    boxes = torch.tensor([[kept, gone, barely], [gone, gone, gone]])
    torch.nn.init.zeros_(model.head.fc1.weight)
    torch.nn.init.ones_(model.head.fc1.bias)
    targets = dict(projection=torch.ones(2, 3, 12), boxes=boxes)
    targets['projection'][0, 1:] = -1
    keep = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    keep[:, :, :32] = True
    images = torch.randn(2, 3, SIDE, SIDE)
    loss = model.dense_loss(model.dense_features(images), targets, Foreground(keep, 0.5))
    assert loss.item() == pytest.approx(-1, abs=1e-5)  # -2 for the first image, 0 for the other
    model.min_kept = 0.01
    loss = model.dense_loss(model.dense_features(images), targets, Foreground(keep, 0.5))
    assert loss.item() == pytest.approx(0, abs=1e-5)  # the barely kept box counts again


def test_redrawn_targets_are_the_teachers_at_the_same_boxes():
    model, batch = narrow_soco(), soco_batch()
    before = buffers(model.teacher)
    reused = dict(projection=torch.zeros(8, 4, 12), boxes=batch['boxes'][0])
    targets = model.dense_targets(batch['views'][0], reused)
    assert targets['boxes'] is batch['boxes'][0]
    assert all(torch.equal(before[k], v) for k, v in model.teacher.named_buffers())
    wanted, _ = model._teach(batch['views'][0], batch['boxes'][0])
    assert torch.equal(targets['projection'], wanted)
    assert not torch.equal(
        before['backbone.bn1.running_mean'], model.teacher.backbone.bn1.running_mean
    )


@pytest.mark.parametrize('key', ['boxes', 'box_ids'])
def test_a_batch_without_boxes_is_refused(key):
    batch = soco_batch()
    del batch[key]
    with pytest.raises(ValueError, match=f"needs '{key}' of two views"):
        narrow_soco().loss(batch)


@pytest.mark.parametrize(
    'setting', [dict(roi_size=0), dict(min_kept=1.0), dict(dense_reduction='max')]
)
def test_bad_settings_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        narrow_soco(**setting)


def test_views_of_any_shape():
    model, batch = narrow_soco(), soco_batch()
    batch['views'][0] = torch.randn(8, 3, 48, SIDE)
    batch['boxes'][0] = batch['boxes'][0] * torch.tensor([1, 0.75, 1, 0.75])
    assert c4_map(model.backbone, batch['views'][0]).shape[-2:] == (3, 4)
    assert torch.isfinite(model.loss(batch)['loss_region'])


def test_momentum_counts_the_images_that_an_incomplete_batch_loses(monkeypatch):
    """Of 7 images a pass, 3 a step, two steps are taken, and 7 / 3 count for the cosine."""
    model = narrow_soco(momentum=(0.9, 1.0))
    used: list[float] = []
    monkeypatch.setattr(model.teacher, 'update', lambda modules, *, momentum: used.append(momentum))
    model.check_data(batch_size=3, num_images=7)
    for step in range(12):  # six passes; int(6 * 7 / 3) = 14
        model.clock.set(iteration=step, max_iterations=12, iterations_per_epoch=2)
        model.update_teacher()
    wanted = [1 - 0.1 * (math.cos(math.pi * (step + 1) / 14) + 1) / 2 for step in range(12)]
    assert used == pytest.approx(wanted, abs=1e-12)
    assert used[-1] < 1
    # where nothing is dropped, the last batch is smaller and the iterations are what there is
    model.clock.set(iteration=17, max_iterations=18, iterations_per_epoch=3)
    model.update_teacher()
    assert used[-1] == 1
