"""PixPro against the official code: places, pairs, loss, propagation, instance branch, steps."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdssl.models.algorithms.pixpro import PixPro
from mmdssl.models.heads.pixel_propagation import PixelPropagation
from mmdssl.models.losses.matched_cosine import paired_cells_loss
from mmdssl.models.utils.cell_places import cell_centres, cell_distances, signed_boxes
from tests.core.test_schedules import assert_equal
from tests.core.test_schedules import run as rates
from tests.golden import Golden, assert_close
from tests.models.algorithms.full_steps import (
    EXACT,
    STEP,
    assert_all_close,
    image_of,
    load,
    part_of,
    resnet_of,
    steps_of,
    wrapper_of,
)
from tests.models.tiny_resnet import tiny_pixpro

pytestmark = pytest.mark.golden
LAYERS = {'linear1': 'mlp.0', 'bn1': 'mlp.1', 'linear2': 'mlp.3'}


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden2/pixpro.npz'))


def groups(golden: Golden, beginning: str) -> list[Golden]:
    """Parts of the file whose name begins so."""
    names = dict.fromkeys(name.split('/')[0] for name in golden if name.startswith(beginning))
    return [part_of(golden, f'{name}/') for name in names or [beginning]]


def test_coordinates_of_crops(golden):
    part = golden.sub('crop/')
    top, left, height, width = part['top_left_h_w'].double().T
    crops = torch.stack((left, top, left + width, top + height), dim=1)
    mirrored = part['flip'].bool()
    boxes = signed_boxes(
        crops,
        torch.stack((mirrored, torch.zeros_like(mirrored)), dim=1),
        size=part['image_size_wh'].flip(1),
        convention='pixpro',
    )
    assert_close(boxes, part['coord'], EXACT)


def test_pairs_of_cells(golden):
    for part in groups(golden, 'pair'):
        height, width = part['cfg_hw'].tolist()
        for view in 'qk':
            centres = cell_centres(part[f'coord_{view}'], height, width)
            want = part[f'centre_{view}_xy']
            assert_close(centres.unflatten(1, (height, width)), want, EXACT)
        distances = cell_distances(part['coord_q'], part['coord_k'], (height, width))
        assert_close(distances, part['dist'], EXACT)
        near = distances < part.number('cfg_pos_ratio')
        assert torch.equal(near, part['pos_mask'])
        assert torch.equal(near.sum(dim=(1, 2)), part['positives'])


def test_loss_of_one_direction_and_its_gradient(golden):
    part = golden.sub('loss/')
    student, teacher = part['student_raw'].requires_grad_(), part['teacher_raw']
    grid = tuple(student.shape[2:])
    pairs = cell_distances(part['coord_q'], part['coord_k'], grid) < part.number('cfg_pos_ratio')
    assert torch.equal(pairs, part['pos_mask'])
    loss = paired_cells_loss(student, teacher, pairs)
    assert_close(loss, part['out_loss'], EXACT)
    loss.backward()
    assert_close(student.grad, part['grad_student_raw'], STEP)
    each = [
        paired_cells_loss(student[n, None], teacher[n, None], pairs[n, None])
        for n in range(len(pairs))
    ]
    assert_close(torch.stack(each) / -2, part['out_mean_cos_per_image'], EXACT)


def test_propagation_and_its_gradients(golden):
    for part in groups(golden, 'ppm_'):
        layers, x = part.number('cfg_layers'), part['x'].requires_grad_()
        weights = {name: v for name, v in part.sub('g/').items() if 'running' not in name}
        head = PixelPropagation(
            channels=x.shape[1],
            layers=layers,
            power=part.number('cfg_p'),
            hidden_channels=len(weights.get('bn1.weight', ())) or None,
        ).double()
        load_parts(head.value, weights)
        y = head(x)
        assert_close(y, part['y'], EXACT)
        unit = F.normalize(y, dim=1)
        assert_close(unit, part['y_normalised'], EXACT)
        (unit * part['grad_probe']).sum().backward()
        assert_close(x.grad, part['grad_x'], STEP)
        parameters = dict(head.value.named_parameters())
        gradients = part.sub('grad_g/')
        if len(gradients):
            assert_all_close(
                lambda name, own=parameters: own[layer_name(name)].grad, gradients, 'g'
            )


def layer_name(official: str) -> str:
    """Of a convolution alone, or of the MLP of two."""
    layer, _, leaf = official.rpartition('.')
    return f'{LAYERS[layer]}.{leaf}' if layer else leaf


def load_parts(module: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    state = {layer_name(name): value for name, value in weights.items()}
    result = module.load_state_dict(state, strict=False)
    assert not result.unexpected_keys
    assert not [name for name in result.missing_keys if 'running' not in name]


def mlp(part: Golden) -> dict:
    """Config of the sizes of a file's MLP of two 1x1 convolutions."""
    inner, width = part['linear1.weight'].shape[:2]
    return dict(
        type='PointMLP',
        in_channels=width,
        hidden_channels=inner,
        out_channels=len(part['linear2.weight']),
        num_layers=2,
        act='ReLU',
        init_cfg=[],
    )


def test_instance_branch(golden):
    part = part_of(golden, 'instance/')
    weight = 0.5
    model = tiny_pixpro(
        instance_weight=weight,
        instance_neck=mlp(part.sub('proj/')),
        instance_head=mlp(part.sub('pred/')),
    ).double()
    for module, name in (
        (model.instance_neck, 'proj/'),
        (model.teacher.instance_neck, 'proj_k/'),
        (model.instance_head, 'pred/'),
    ):
        load_parts(module, {k: v for k, v in part.sub(name).items() if 'running' not in k})
    maps = [part[f'c5_view{view}'].requires_grad_() for view in (1, 2)]
    loss = model.instance_loss(maps, [one.detach() for one in maps])
    assert_close(loss, part['out_loss'], EXACT)
    loss.backward()
    for view in (1, 2):
        assert_close(maps[view - 1].grad, part[f'grad_c5_view{view}'], STEP)


PARTS = {
    'encoder': 'backbone',
    'projector': 'neck',
    'value_transform': 'head.value',
    'encoder_k': 'teacher.backbone',
    'projector_k': 'teacher.neck',
}


def our_name(official: str) -> str:
    module, _, rest = official.partition('.')
    if 'projector' in module or (rest.startswith(('linear', 'bn1')) and 'value' in module):
        rest = layer_name(rest)
    return f'{PARTS[module]}.{rest}'


def golden_pixpro(golden: Golden) -> PixPro:
    state = golden.sub('state_before/')
    projector = state.sub('projector.')
    return tiny_pixpro(
        backbone=resnet_of(state.sub('encoder.')),
        neck=mlp(projector),
        head=dict(
            type='PixelPropagation',
            channels=len(projector['linear2.weight']),
            layers=golden.number('cfg_layers'),
            power=golden.number('cfg_p'),
            hidden_channels=len(state['value_transform.bn1.weight'])
            if 'value_transform.bn1.weight' in state
            else None,
        ),
        pos_ratio=golden.number('cfg_pos_ratio'),
        coords='edge',
        momentum=(golden.number('cfg_base_momentum'), 1.0),
    ).double()


def batch(step: Golden, times: int) -> dict:
    """The file's coordinates are shares of the image already, with their sign."""
    coords = [step[f'coord{view}'] for view in (1, 2)]
    count = len(coords[0])
    return dict(
        views=[image_of(step[f'image{view}_low'], times) for view in (1, 2)],
        crop_box=coords,
        flip=[torch.zeros(count, 2, dtype=torch.bool)] * 2,
        ori_shape=[torch.ones(count, 2, dtype=torch.long)] * 2,
    )


def test_training_steps_equal_official(golden):
    """Losses, maps, gradients, LARS, and the teacher with its momentum."""
    golden = part_of(golden, 'full/')
    model = golden_pixpro(golden)
    load(model, golden.sub('state_before/'), our_name)
    wrapper = wrapper_of(
        model,
        dict(
            type='SoCoLARS',
            lr=golden.number('cfg_lr'),
            momentum=golden.number('cfg_sgd_momentum'),
            weight_decay=golden.number('cfg_weight_decay'),
            trust=golden.number('cfg_trust'),
            eps=golden.number('cfg_lars_eps'),
        ),
    )
    images, size, epochs = (golden.number(f'cfg_{n}') for n in ('num_instances', 'batch', 'epochs'))
    model.check_data(batch_size=size, num_images=images)
    length = images // size
    momenta = []
    move = model.teacher.update
    model.teacher.update = lambda parts, *, momentum: (
        momenta.append(momentum),
        move(parts, momentum=momentum),
    )
    for number, step in steps_of(golden):
        # the official code: before the teacher's pass of this step; ours, after the one before
        if number == 0:
            model.teacher.update(model._followed(), momentum=model.momentum[0])
        else:
            model.clock.set(
                iteration=number - 1, max_iterations=epochs * length, iterations_per_epoch=length
            )
            model.update_teacher()
        assert momenta[-1] == pytest.approx(step.number('ema_momentum'), rel=1e-12)
        seen: dict[str, list[Tensor]] = {}
        handles = [
            module.register_forward_hook(
                lambda _, __, out, key=key, seen=seen: seen.setdefault(key, []).append(
                    out[-1] if isinstance(out, tuple) else out
                )
            )
            for key, module in (
                ('c5_student', model.backbone),
                ('proj_student', model.neck),
                ('c5_teacher', model.teacher.backbone),
                ('proj_teacher', model.teacher.neck),
            )
        ]
        loss = model.loss(batch(step, golden.number('cfg_upsample')))['loss_pixel']
        for handle in handles:
            handle.remove()
        assert_close(loss, step['out_loss'], STEP, f'loss {number}')
        for name, maps in seen.items():
            for view in (1, 2):
                if f'{name}{view}' in step:
                    # the file keeps the teacher's projections as unit vectors
                    want, got = step[f'{name}{view}'], maps[view - 1]
                    unit = (want.norm(dim=1) - 1).abs().max() < 1e-9
                    assert_close(F.normalize(got, dim=1) if unit else got, want, STEP, name)
        parameters = dict(model.named_parameters())
        wrapper.zero_grad()
        loss.backward()
        if gradients := step.sub('grad/'):
            assert_all_close(lambda name, own=parameters: own[our_name(name)].grad, gradients, 'of')
        wrapper.step()
        for part in ('student_after/', 'teacher_after/'):
            if wanted := step.sub(part):
                assert_all_close(
                    lambda name, own=parameters: own[our_name(name)].detach(), wanted, part
                )


def test_tables_of_momentum_and_learning_rate(golden, monkeypatch):
    part = golden.sub('tables/')
    model = tiny_pixpro(momentum=(part.number('cfg_base'), 1.0))
    used: list[float] = []
    monkeypatch.setattr(model.teacher, 'update', lambda _, *, momentum: used.append(momentum))
    total = part.number('cfg_K')
    for step in range(total):  # the update after step k is the official one of step k + 1
        model.clock.set(iteration=step, max_iterations=total, iterations_per_epoch=total)
        model.update_teacher()
    assert_close(torch.tensor(used, dtype=torch.float64), part['ema_momentum'][1:], 1e-12)

    peak, length = part.number('cfg_lr_peak'), part.number('cfg_iters_per_epoch')
    epochs, want = part.number('cfg_epochs'), part['lr_per_step'].numpy()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    got = rates(
        optimizer,
        'lr',
        epochs * length,
        warmup_epochs=part.number('cfg_warmup_epochs'),
        warmup_ratio=1 / part.number('cfg_multiplier'),
        peak_twice=False,
        eta_min=part.number('cfg_eta_min'),
        end=epochs,
        epoch_length=length,
    )
    assert_equal(got, np.asarray(want)[: epochs * length])
