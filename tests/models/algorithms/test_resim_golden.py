"""ReSim against the official code: windows, pooling, losses, two steps with its FPN."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdssl.models.algorithms.resim import WINDOWS, ReSim, Seen
from mmdssl.models.utils.windows import grid_windows, same_windows, window_means
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
from tests.models.tiny_resnet import tiny_resim

pytestmark = pytest.mark.golden
LEVELS = ('c4', 'c3')


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden2/resim.npz'))


def edges(crop: Tensor) -> Tensor:
    """x1 y1 x2 y2 (N, 4) of top, left, height, width."""
    top, left, height, width = crop.double().unbind(-1)
    return torch.stack((left, top, left + width, top + height), dim=-1)


def test_windows_and_their_counterparts(golden):
    part = golden.sub('anchors/')
    side = part.number('cfg_image_size')
    cases = dict.fromkeys(name.split('/')[0] for name in part if name.startswith('case'))
    for case in (part.sub(f'{name}/') for name in cases):
        boxes = [edges(case[f'crop_{view}_top_left_h_w'])[None] for view in 'qk']
        for level in LEVELS:
            size, stride, number = part[f'cfg_{level}_size_stride_number'].tolist()
            if side == 224:
                assert (size, stride) == WINDOWS[level]
            mine = grid_windows(side, side, size=size, stride=stride)
            assert len(mine) == number**2
            assert_close(mine, case[f'{level}_query'], EXACT)
            theirs, valid = same_windows(
                mine, *boxes, query_size=(side, side), key_size=(side, side)
            )
            assert_close(theirs[0], case[f'{level}_key'], EXACT)
            assert torch.equal(valid[0], case[f'{level}_label'] == 0)


def test_means_over_windows_and_their_gradient(golden):
    part = golden.sub('prroi/')
    scale, rois = part.number('cfg_spatial_scale'), part['rois_b_x1y1x2y2']
    maps = part['feature'].requires_grad_()
    found = window_means(
        maps[rois[:, 0].long()], rois[:, None, 1:], scale=(scale, scale)
    )  # a map each
    assert_close(found[:, 0], part['out'], EXACT)
    (found[:, 0] * part['grad_probe']).sum().backward()
    assert_close(maps.grad, part['grad_feature'], STEP)


def test_losses_and_gradients_of_given_maps(golden):
    part = part_of(golden, 'loss/')
    dim, length = part['queue_before'].shape
    model = tiny_resim(
        neck=dict(type='MoCoV2Neck', in_channels=32, hid_channels=8, out_channels=dim),
        temperature=part.number('cfg_temperature'),
        queue_length=length,
    ).double()
    model.queue.keys.copy_(part['queue_before'])
    model.queue.pointer.fill_(part.number('queue_ptr_before'))
    side = 16 * part['student_c4'].shape[-1]
    leaves = {name: part[f'student_{name}'].requires_grad_() for name in ('vector', *LEVELS)}
    keys = {name: part[f'teacher_{name}'] for name in ('vector', *LEVELS)}
    query, key = (
        Seen(F.normalize(x['vector'], dim=1), (x['c4'], x['c3']), x['c4']) for x in (leaves, keys)
    )
    count = len(query.vector)
    views = [torch.zeros(count, 3, side, side, dtype=torch.float64)] * 2
    found = losses_of_windows(model, part, query, key, views)
    for ours, theirs in (('image', 'instance'), ('c4', 'c4'), ('c3', 'c3')):
        assert_close(found[f'loss_{ours}'], part[f'out_loss_{theirs}'], EXACT, ours)
    total = sum(found.values())
    assert_close(total, part['out_loss'], EXACT)
    total.backward()
    for name, leaf in leaves.items():
        assert_close(leaf.grad, part[f'grad_student_{name}'], STEP, name)
    assert_close(model.queue.keys, part['queue_after'], EXACT)
    assert model.queue.pointer.item() == part.number('queue_ptr_after')


def losses_of_windows(model: ReSim, part: Golden, query: Seen, key: Seen, views: list) -> dict:
    """The host's losses, with the windows of the file in place of those of crops."""
    from mmdssl.models.algorithms import resim

    order = iter(LEVELS)

    def given(windows: Tensor, *boxes: Tensor, **_: object) -> tuple[Tensor, Tensor]:
        level = next(order)
        for mine in part[f'window_q_{level}']:
            assert torch.equal(mine, windows)
        return part[f'window_k_{level}'], part[f'label_{level}'] == 0

    count = len(query.vector)
    anything = dict(
        views=views,
        crop_box=[torch.zeros(count, 4, dtype=torch.float64)] * 2,
        flip=[torch.zeros(count, 2, dtype=torch.bool)] * 2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resim, 'same_windows', given)
        return model._losses(query, key, anything)


def our_name(official: str) -> str:
    encoder, _, rest = official.partition('.')
    teacher = 'teacher.' if encoder == 'encoder_k' else ''
    if rest.startswith('fc.'):
        return f'{teacher}neck.mlp.{rest.removeprefix("fc.")}'
    if rest.startswith('fpn_'):
        return f'{teacher}head.{rest.removeprefix("fpn_")}'
    return f'{teacher}backbone.{rest}'


def golden_resim(golden: Golden) -> ReSim:
    encoder = golden.sub('state_before/encoder_q.')
    fifth, fourth, third = golden['cfg_channels_c5_c4_c3'].tolist()
    dim = len(encoder['fc.2.weight'])
    backbone = resnet_of(encoder)
    backbone.out_indices = (1, 2, 3)
    momentum = golden.number('cfg_ema')
    return tiny_resim(
        backbone=backbone,
        neck=dict(
            type='MoCoV2Neck',
            in_channels=fifth,
            hid_channels=len(encoder['fc.0.weight']),
            out_channels=dim,
        ),
        head=dict(
            type='WindowPyramid',
            in_channels=(third, fourth, fifth),
            out_channels=golden.number('cfg_fpn_dim'),
            norm_cfg=dict(type='BN') if golden['cfg_fpn_bn'] else None,
        ),
        temperature=golden.number('cfg_temperature'),
        queue_length=golden.number('cfg_queue_length'),
        momentum=(momentum, momentum),
    ).double()


def test_training_steps_equal_official(golden):
    """Losses, maps, all gradients, SGD that decays everything, teacher and queue."""
    golden = part_of(golden, 'full/')
    model = golden_resim(golden)
    state = golden.sub('state_before/')
    model.queue.keys.copy_(state['queue'])
    load(model, Golden({k: v.numpy() for k, v in state.items() if k != 'queue'}), our_name)
    everything = {part: dict(decay_mult=1.0) for part in ('backbone', 'neck', 'head')}
    wrapper = wrapper_of(
        model,
        dict(
            type='SGD',
            lr=golden.number('cfg_lr'),
            momentum=golden.number('cfg_sgd_momentum'),
            weight_decay=golden.number('cfg_weight_decay'),
        ),
        custom_keys=everything,
    )
    parameters = dict(model.named_parameters())

    def of(network: str):
        return lambda name: parameters[our_name(f'{network}.{name}')]

    for number, step in steps_of(golden):
        model.clock.set(iteration=number, max_iterations=10)
        model.update_teacher()  # the official code: after the query's pass, before the key's
        crops = [edges(step[f'crop_{view}_top_left_h_w']) for view in 'qk']
        mirrored = torch.zeros(len(crops[0]), 2, dtype=torch.bool)
        batch = dict(
            views=[image_of(step[f'image_{v}_low'], golden.number('cfg_upsample')) for v in 'qk'],
            crop_box=crops,
            flip=[mirrored, mirrored],
        )
        seen: list[tuple] = []
        handle = model.head.register_forward_hook(lambda _, __, out, kept=seen: kept.append(out))
        losses = model.loss(batch)
        handle.remove()
        for place, name in enumerate(('p4', 'p3')):
            assert_close(seen[0][place], step[f'out_{name}_q'], STEP, name)
        for ours, theirs in (('image', 'instance'), ('c4', 'c4'), ('c3', 'c3')):
            assert_close(losses[f'loss_{ours}'], step[f'out_loss_{theirs}'], STEP, ours)
        total = sum(losses.values())
        assert_close(total, step['out_loss'], STEP, 'loss')
        assert_close(model.queue.keys, step['queue_after'], STEP, 'queue')
        wrapper.zero_grad()
        total.backward()
        if gradients := step.sub('grad/'):
            assert_all_close(lambda name: of('encoder_q')(name).grad, gradients, 'gradient')
        if wanted := step.sub('teacher_after/'):
            assert_all_close(of('encoder_k'), wanted, 'teacher')
        wrapper.step()
        if wanted := step.sub('student_after/'):
            assert_all_close(lambda name: of('encoder_q')(name).detach(), wanted, 'student')


def test_learning_rate_of_every_epoch(golden):
    part = golden.sub('tables/')
    epochs, peak = part.number('cfg_epochs'), part.number('cfg_lr')
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    from mmengine.optim import CosineAnnealingLR

    schedule = CosineAnnealingLR(optimizer, eta_min=0.0, T_max=epochs)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    assert_close(torch.tensor(found, dtype=torch.float64), part['lr_per_epoch'], EXACT)
