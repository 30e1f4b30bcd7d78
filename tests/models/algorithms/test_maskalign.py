"""MaskAlign's own contracts: what is seen, what the branch may not change, refusals."""

import pytest
import torch
import torch.nn.functional as F

from mmdssl.models.algorithms.maskalign import MaskAlign
from mmdssl.models.utils.attentive_masking import keep_count
from tests.models.tiny_maskalign import (
    IMAGENET,
    PATCH,
    noisy,
    student_config,
    teacher_config,
    tiny_batch,
    tiny_maskalign,
    tiny_teacher,
)

BRANCH = dict(type='DecouplingBranch')


def loss(model: MaskAlign, batch: dict | None = None) -> dict:
    torch.manual_seed(7)
    return model.loss(batch or tiny_batch())


def test_no_branch_is_bit_equal_to_a_build_without_the_key():
    with_key, without = tiny_maskalign(decoupling=None), tiny_maskalign()
    assert with_key.state_dict().keys() == without.state_dict().keys()
    one, two = loss(with_key), loss(without)
    assert one.keys() == two.keys() == {'loss_align'}
    assert torch.equal(one['loss_align'], two['loss_align'])


def test_the_branch_scales_the_ordinary_loss_and_changes_nothing_else_of_it():
    plain, decoupled = loss(tiny_maskalign()), loss(tiny_maskalign(decoupling=BRANCH))
    torch.testing.assert_close(decoupled['loss_align'], 0.7 * plain['loss_align'])
    assert decoupled['loss_decoupling'] > 0


def test_maskalign_takes_the_papers_side_of_every_switch():
    branch = tiny_maskalign(decoupling=BRANCH).decoupling
    assert (branch.loss_weighting, branch.weight, branch.key_views) == ('convex', 0.3, (0,))
    assert (branch.mix_level, branch.detach, branch.complement_ratio) == ('pixel', False, 0.0)


def test_decoupling_loss_is_that_of_the_foreground_patches_alone():
    """Recomputed patch by patch, without any of the model's loss code."""
    batch = tiny_batch()
    model = tiny_maskalign(decoupling=BRANCH)
    got = loss(model, batch)['loss_decoupling'] / 0.3
    images, samples = batch['views'][0], []
    for sample in (6, 7):
        mask = batch['dc_mask'][0][sample]
        pixels = mask.repeat_interleave(PATCH, 0).repeat_interleave(PATCH, 1)
        mixed = torch.where(pixels, images[7 - sample], images[sample])[None]
        states = model.backbone.hidden_states(mixed)
        teacher = model.teacher(images[sample][None]).hidden
        terms = []
        for layer in (1, 2):  # the last two of three
            mix = sum(model.head.matrix[layer, j] * states[j] for j in range(3))
            target = teacher[layer]
            target = (target - target.mean(-1, keepdim=True)) / (
                target.var(-1, unbiased=False, keepdim=True) + 1e-5
            ).sqrt()
            error = (model.head.linears[layer](mix) - target).abs()
            each = torch.where(error < 1, error**2, 2 * error - 1).mean(-1)  # twice smooth L1
            terms.append(each[0, 1:][~mask.flatten()].mean())
        samples.append(sum(terms) / 2)
    torch.testing.assert_close(got, sum(samples) / 2)


def test_mixing_at_patch_embeddings_gives_the_same_loss_and_can_detach():
    embed = dict(BRANCH, mix_level='patch_embed')
    models = [
        tiny_maskalign(decoupling=d)
        for d in (BRANCH, dict(embed, detach=False), dict(embed, detach=True))
    ]
    losses = [loss(model)['loss_decoupling'] for model in models]
    for value in losses:
        value.backward()
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(losses[0], losses[2])
    pixel, attached, detached = (m.backbone.patch_embed.projection.weight.grad for m in models)
    torch.testing.assert_close(pixel, attached)
    assert not torch.allclose(pixel, detached)


def test_the_student_does_not_see_dropped_patches():
    batch = tiny_batch()
    model = tiny_maskalign()
    seen = model.teacher(batch['views'][0])
    torch.manual_seed(7)
    keep = model.kept_patches(seen.importance)
    assert keep.shape == (8, 4)
    cells = torch.zeros(8, 16).scatter(1, keep, 1.0).reshape(8, 1, 4, 4)
    hidden = F.interpolate(cells, scale_factor=PATCH) == 0
    changed = torch.where(hidden, torch.full_like(batch['views'][0], 9.0), batch['views'][0])
    one = model.backbone.hidden_states(batch['views'][0], keep=keep)
    two = model.backbone.hidden_states(changed, keep=keep)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_teacher_runs_once_a_batch_without_gradients_also_with_the_branch(monkeypatch):
    model, calls = tiny_maskalign(decoupling=BRANCH), []
    forward = model.teacher.backbone.forward
    monkeypatch.setattr(
        model.teacher.backbone, 'forward', lambda x: calls.append(len(x)) or forward(x)
    )
    sum(loss(model).values()).backward()
    assert calls == [8]
    assert all(p.grad is None for p in model.teacher.parameters())


def test_every_trainable_parameter_gets_a_gradient():
    """DistributedDataParallel would hang on a parameter without one."""
    batch = tiny_batch()
    batch['dc_mask'][0][:] = True  # nothing left of the key views
    model = tiny_maskalign(decoupling=BRANCH)
    losses = loss(model, batch)
    assert losses['loss_decoupling'] == 0
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert {n for n in frozen if not n.startswith('teacher.')} == {
        'backbone.ln1.weight',
        'backbone.ln1.bias',
        'head.linears.0.weight',
        'head.linears.0.bias',
    }


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_losses_are_float32_under_autocast(dtype):
    exact = loss(tiny_maskalign(decoupling=BRANCH, masking='random'))
    model = tiny_maskalign(decoupling=BRANCH, masking='random')
    with torch.autocast('cpu', dtype=dtype):
        losses = loss(model)
    for name, value in losses.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name], rtol=0.02, atol=0.02)
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_redrawn_key_views_get_their_own_targets():
    model = tiny_maskalign(decoupling=dict(BRANCH, reaugment='both'))
    batch = tiny_batch()
    raw = batch['views'][0]
    one = loss(model, dict(batch, raw=[raw], recolor=lambda x, view: x))
    assert torch.equal(
        one['loss_decoupling'], loss(tiny_maskalign(decoupling=BRANCH))['loss_decoupling']
    )
    other = loss(model, dict(batch, raw=[raw], recolor=lambda x, view: x * 0.5))
    assert not torch.equal(one['loss_decoupling'], other['loss_decoupling'])


def test_the_student_is_kept_and_the_teacher_can_be_had():
    model = tiny_maskalign()
    assert model.get_backbone() is model.backbone
    assert model.get_backbone('teacher') is model.teacher.backbone
    assert not hasattr(model, 'update_teacher')
    (features,) = model(tiny_batch()['views'][0])
    assert features.shape == (8, 24, 4, 4)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(teacher=teacher_config(arch=student_config()['arch'] | dict(num_layers=4))), '4'),
        (dict(teacher=teacher_config(img_size=48)), r'\(6, 6\)'),
        (dict(backbone=dict(student_config(), type='DenseViT')), 'SinCosViT'),
        (dict(layers='top4'), 'top4'),
        (dict(layers='last'), 'last'),
        (dict(mask_ratio=0.95), 'keeps 0 of 16'),
        (dict(masking='blocks'), 'blocks'),
    ],
)
def test_what_does_not_fit_is_refused_at_build_time(change, message):
    settings = dict(backbone=student_config(), teacher=teacher_config(), layers='top2')
    with pytest.raises(ValueError, match=message):
        MaskAlign(**{**settings, **change})


def test_a_missing_teacher_is_named_before_training(tmp_path):
    teacher = teacher_config()
    teacher.update(init='pretrained', checkpoint=str(tmp_path / 'gone.pth'))
    model = MaskAlign(backbone=student_config(), teacher=teacher, layers='top2')
    with pytest.raises(FileNotFoundError, match=r'gone\.pth.*model\.teacher\.checkpoint'):
        model.check_data(batch_size=8, num_images=100)


def test_a_teacher_with_statistics_of_its_own_needs_to_know_the_students():
    teacher = tiny_teacher()
    teacher.mean, teacher.std = [0.0] * 3, [255.0] * 3
    images = torch.rand(2, 3, 32, 32) * 255
    mean, std = (torch.tensor(IMAGENET[k])[:, None, None] for k in ('mean', 'std'))
    tiny_maskalign(teacher=teacher, data_preprocessor=dict(type='MultiViewPreprocessor'))
    torch.testing.assert_close(teacher.view((images - mean) / std), images / 255)
    with pytest.raises(ValueError, match='MultiViewPreprocessor'):
        tiny_maskalign(teacher=teacher, data_preprocessor=torch.nn.Identity())


def test_training_moves_the_student_towards_the_teacher():
    model, batch = tiny_maskalign(decoupling=BRANCH), tiny_batch()
    noisy(model.head)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    values = []
    for _ in range(30):
        losses = loss(model, batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        values.append({name: value.item() for name, value in losses.items()})
    assert values[-1]['loss_align'] < 0.6 * values[0]['loss_align']
    assert values[-1]['loss_decoupling'] < 0.8 * values[0]['loss_decoupling']


def test_seven_tenths_of_the_patches_are_dropped_unless_told_otherwise():
    model = tiny_maskalign()
    assert model.mask_ratio == 0.7
    assert model.masking == 'attentive'
    assert keep_count(196, model.mask_ratio) == 58
