"""IBOT against the official iBOT / iBOT-D: losses, gradients, centres, whole training steps."""

import pytest
import torch
from torch import Tensor, nn

from mmdssl.conversion.official_ibot import (
    backbone_from_official,
    head_from_official,
    heads_and_centers,
)
from mmdssl.models.algorithms.ibot import IBOT
from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS
from tests.golden import Golden, assert_close

PUBLIC_CODE = dict(type='DecouplingBranch', mask_source='pool')


class Table(nn.Module):
    """A 'backbone' that answers an image with the tokens stored under its row number.

    The row number is the value of the image's first pixel, so the model under
    test does all routing of samples, views and copies by itself.
    """

    def __init__(self, tokens: Tensor, grid: tuple[int, int]) -> None:
        super().__init__()
        self.tokens = nn.Parameter(tokens)
        self.grid = grid
        self.mask_token = nn.Parameter(torch.zeros(1))

    def forward_tokens(self, images: Tensor, **_) -> Tensor:
        return self.tokens[images[:, 0, 0, 0].long()]

    def grid_size(self, images: Tensor) -> tuple[int, int]:
        return self.grid


class Logits(nn.Module):
    """A 'head' for tokens that are logits already."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = self.patch_out_channels = channels
        self.project = self.cls_logits = self.patch_logits = nn.Identity()


def rows(first: int, count: int) -> Tensor:
    """Images (count, 3, 4, 4) that carry the row numbers first, first + 1, ..."""
    numbers = torch.arange(first, first + count, dtype=torch.float64)
    return numbers[:, None, None, None].expand(-1, 3, 4, 4)


def tokens(step: Golden, who: str) -> Tensor:
    """(B, 1 + L, K) from the CLS and patch logits of a call, in double precision."""
    joined = torch.cat((step[f'{who}_cls'][:, None], step[f'{who}_patch']), dim=1)
    return joined.double()


def check_call(model: IBOT, step: Golden, inputs: dict, epoch: int, tolerance: float) -> dict:
    """One loss call: parts, gradients and centres equal the file's."""
    assert_close(model.criterion.center, step['center_before'], 1e-5, 'CLS centre before')
    assert_close(model.criterion.patch_center, step['center2_before'][0], 1e-5, 'patch centre')
    model.clock.set(iteration=epoch, max_iterations=100, iterations_per_epoch=1)
    losses = model.loss(inputs)
    assert_close(losses['loss_cls'], step['out_cls_f64'], tolerance, 'CLS')
    assert_close(losses['loss_patch'], step['out_patch_f64'], tolerance, 'patch')
    total = sum(losses.values())
    assert_close(total, step['out_loss_f64'], tolerance, 'total')
    (gradient,) = torch.autograd.grad(total, model.backbone.tokens)
    size = len(step['student_cls'])
    assert_close(gradient[:size, 0], step['grad_student_cls'], 1e-5, 'CLS gradient')
    assert_close(gradient[:size, 1:], step['grad_student_patch'], 1e-5, 'patch gradient')
    assert_close(model.criterion.center, step['center_after'], 1e-5, 'CLS centre after')
    assert_close(model.criterion.patch_center, step['center2_after'][0], 1e-5, 'patch centre after')
    return losses


def table_model(golden: Golden, step: Golden, **kwargs) -> IBOT:
    student = tokens(step, 'student')
    if 'student_local_cls' in step:  # local crops: only CLS counts
        local = step['student_local_cls'].double()[:, None].expand(-1, student.shape[1], -1)
        student = torch.cat((student, local))
    cls, patch = (golden[f'teacher_temp_{name}_per_epoch'].tolist() for name in ('cls', 'patch'))
    model = IBOT(
        backbone=Table(student, tuple(golden['meta_grid_hw'].tolist())),
        head=Logits(student.shape[-1]),
        loss=dict(
            warmup_epochs=golden.number('meta_warmup_epochs'),
            teacher_temp=(cls[0], cls[-1]),
            teacher_patch_temp=(patch[0], patch[-1]),
        ),
        **kwargs,
    ).double()
    model.teacher.backbone.tokens = nn.Parameter(tokens(step, 'teacher'), requires_grad=False)
    return model


def sequence(golden: Golden, kind: str, **kwargs):
    """The calls of one sequence, with the centres handed from model to model."""
    model = None
    for call, epoch in enumerate(golden[f'{kind}_epochs'].tolist()):
        step = golden.sub(f'{kind}_{call}_')
        new = table_model(golden, step, **kwargs)
        if model is None:
            new.criterion.center.copy_(step['center_before'])
            new.criterion.patch_center.copy_(step['center2_before'][0])
        else:
            new.criterion.load_state_dict(model.criterion.state_dict())
        model = new
        yield model, step, epoch


@pytest.fixture(scope='module')
def losses_file(shared) -> Golden:
    return Golden.load(shared('golden/ibot_loss.npz'))


@pytest.mark.golden
@pytest.mark.parametrize('kind', ['plain', 'local'])
def test_losses_gradients_and_centers_equal_official(losses_file, kind):
    for model, step, epoch in sequence(losses_file, kind):
        masks = [step['mask_view0'] == 1, step['mask_view1'] == 1]
        size = len(masks[0])
        local = len(step['student_local_cls']) // size if 'student_local_cls' in step else 0
        views = [rows(size * view, size) for view in range(2 + local)]
        check_call(model, step, dict(views=views, mask=masks), epoch, 1e-6)


@pytest.mark.golden
def test_decoupled_losses_gradients_and_centers_equal_official(losses_file):
    """Copies have teacher rows of their own in the file: the branch's redraw path."""
    first = losses_file.sub('dc_0_')
    ratio = 2 * first.number('n') / len(first['raw_mask_view0'])
    branch = dict(**PUBLIC_CODE, reaugment='both', sample_ratio=ratio)
    for model, step, epoch in sequence(
        losses_file, 'dc', decoupling=branch, center_counts_decoupled=True
    ):
        masks = [step['raw_mask_view0'] == 1, step['raw_mask_view1'] == 1]
        size, copies = len(masks[0]), 2 * step.number('n')
        views = [rows(0, size), rows(size + copies, size)]
        inputs = dict(
            views=views, mask=masks, raw=views, recolor=lambda raw, _, shift=copies: raw + shift
        )
        losses = check_call(model, step, inputs, epoch, 1e-6)
        assert_close(losses['loss_decoupling'] / 0.3, step['out_dc_f64'], 1e-6, 'de-coupling')


@pytest.mark.golden
def test_temperatures_equal_official(losses_file, shared):
    epochs = losses_file.number('meta_nepochs')
    model = table_model(losses_file, losses_file.sub('plain_0_'))
    for name, schedule in (
        ('cls', model.criterion.cls_temperature),
        ('patch', model.criterion.patch_temperature),
    ):
        wanted = losses_file[f'teacher_temp_{name}_per_epoch']
        assert_close(torch.tensor([schedule(e) for e in range(epochs)]).double(), wanted, 1e-6)
    late = losses_file.sub('teacher_temp_patch_per_epoch_start')
    assert late
    for start, wanted in late.items():
        model.criterion.pred_start_epoch = int(start)
        got = [model.criterion.patch_temperature(epoch) for epoch in range(epochs)]
        assert_close(torch.tensor(got).double(), wanted, 1e-6, f'from epoch {start} on')


# ---- complete training steps in double precision ----------------------------------------


def state_of(golden: Golden, prefix: str) -> dict[str, Tensor]:
    parts = {who: golden.sub(f'{prefix}/{who}/') for who in ('student', 'teacher')}
    result = heads_and_centers(parts)
    for who, own in (('student', ''), ('teacher', 'teacher.')):
        backbone = backbone_from_official(golden.sub(f'{prefix}/{who}/backbone.'))
        result |= {f'{own}backbone.{name}': value for name, value in backbone.items()}
    return result


def training_model(golden: Golden, part: Golden, decoupling: dict | None) -> IBOT:
    linears = part.sub('state0/student/head.mlp.')
    model = IBOT(
        backbone=dict(
            type='DenseViT',
            arch=dict(
                embed_dims=golden.number('cfg_E'),
                num_layers=golden.number('cfg_d'),
                num_heads=golden.number('cfg_h'),
                feedforward_channels=len(part['state0/student/backbone.blocks.0.mlp.fc1.bias']),
            ),
            img_size=golden.number('cfg_img'),
            patch_size=golden.number('cfg_P'),
        ),
        head=dict(
            type='IBOTHead',
            in_channels=golden.number('cfg_E'),
            hidden_channels=golden.number('cfg_hid'),
            bottleneck_channels=golden.number('cfg_bot'),
            out_channels=golden.number('cfg_K'),
            num_layers=sum(name.endswith('weight') for name in linears),
        ),
        loss=dict(warmup_epochs=golden.number('temp_warmup_epochs')),
        momentum=(golden['momentum'][0].item(), 1.0),
        decoupling=decoupling,
        center_counts_decoupled=decoupling is not None,
    ).double()
    result = model.load_state_dict(state_of(part, 'state0'), strict=False)
    assert not result.unexpected_keys
    assert {key.split('.')[0] for key in result.missing_keys} <= {'criterion', 'data_preprocessor'}
    return model


def check_state(model: IBOT, part: Golden, epoch: int) -> None:
    ours = model.state_dict()
    wanted = state_of(part, f'state_after_epoch{epoch}')
    parameters = {name for name, _ in model.named_parameters()}
    assert parameters - wanted.keys() <= {'backbone.mask_token', 'teacher.backbone.mask_token'}
    for name, value in wanted.items():
        assert_close(ours[name], value, 1e-6, f'epoch {epoch}: {name}')
    assert_close(model.criterion.center, part[f'center_after_epoch{epoch}'], 1e-6)
    assert_close(model.criterion.patch_center, part[f'center2_after_epoch{epoch}'][0], 1e-6)


@pytest.mark.golden
@pytest.mark.parametrize('kind', ['plain', 'dc'])
def test_training_steps_equal_official(shared, kind):
    golden = Golden.load(shared('golden/ibot_train_step.npz'))
    part = golden.sub(f'{kind}/')
    decoupling = None
    if kind == 'dc':
        decoupling = dict(**PUBLIC_CODE, sample_ratio=golden.number('dc_sample_ratio'))
    model = training_model(golden, part, decoupling)
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='SelfSupOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                type='PerParamClipOptimWrapper',
                optimizer=dict(type='AdamW', lr=1.0, weight_decay=1.0),
                clip_grad=dict(type='per_param', max_norm=golden.number('cfg_clip')),
                freeze=dict(keys=('head.last_layer',), epochs=1),
            ),
        )
    )(model)
    per_epoch, epochs = golden.number('iters_per_epoch'), golden.number('epochs')
    for step, wanted in enumerate(part['loss_per_step']):
        model.clock.set(
            iteration=step, max_iterations=per_epoch * epochs, iterations_per_epoch=per_epoch
        )
        for group in wrapper.optimizer.param_groups:
            group['lr'] = golden['lr'][step].item()
            if group['weight_decay'] != 0:
                group['weight_decay'] = golden['wd'][step].item()
        inputs = dict(
            views=[part[f'step{step}/view{v}'].double() for v in range(2)],
            mask=[part[f'step{step}/mask{v}'].bool() for v in range(2)],
        )
        losses = model.loss(inputs)
        assert_close(losses['loss_cls'], part['cls_per_step'][step], 1e-6, f'CLS, step {step}')
        assert_close(losses['loss_patch'], part['patch_per_step'][step], 1e-6, f'MIM, step {step}')
        total = sum(losses.values())
        assert_close(total, wanted, 1e-6, f'loss, step {step}')
        if step == 0:
            check_gradients(model, part, total)
        wrapper.update_params(total)
        model.update_teacher()
        if (step + 1) % per_epoch == 0:
            check_state(model, part, step // per_epoch)


def check_gradients(model: IBOT, part: Golden, total: Tensor) -> None:
    gradients = part.sub('grad_step0_before_clip/')
    wanted = {
        **{
            f'backbone.{name}': value
            for name, value in backbone_from_official(
                {key[9:]: value for key, value in gradients.items() if key.startswith('backbone.')}
            ).items()
        },
        **{
            f'head.{name}': value
            for name, value in head_from_official(
                {key[5:]: value for key, value in gradients.items() if key.startswith('head.')},
                shared=True,
            ).items()
        },
    }
    parameters = dict(model.named_parameters())
    got = torch.autograd.grad(total, [parameters[name] for name in wanted], retain_graph=True)
    for (name, value), gradient in zip(wanted.items(), got, strict=True):
        assert_close(gradient, value, 1e-6, f'gradient of {name}')
