"""PLRC against its official parts: regions, crops, pairs, points, three losses, a whole step."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdssl.core.schedules import teacher_temperature
from mmdssl.datasets.transforms.overlapping_pairs import enough_in_common
from mmdssl.datasets.transforms.region_points import region_map
from mmdssl.models.algorithms.plrc import PLRC
from mmdssl.models.losses.point_distillation import distil_rows
from mmdssl.models.losses.region_contrast import points_of_maps, region_contrast
from mmdssl.models.utils.cell_places import cell_distances, signed_boxes
from tests.golden import Golden, assert_close
from tests.models.tiny_maps import GivenMaps
from tests.models.tiny_plrc import tiny_plrc
from tests.models.tiny_slotcon import mlp

pytestmark = pytest.mark.golden
TOLERANCE, GRADIENTS = 1e-9, 1e-6
QUIRKS = ('transposed_points', 'corner_points')


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden2/plrc.npz'))


def cases(golden: Golden, pattern: str) -> list[Golden]:
    prefixes = {match[0] for name in golden if (match := re.match(pattern, name))}
    assert prefixes, f'the file holds nothing like {pattern}'
    return [golden.sub(prefix) for prefix in sorted(prefixes)]


def test_regions_and_coordinates(golden):
    for case in cases(golden, r'regions/case\d+/'):
        top, left, height, width = case['crop_top_left_h_w'].tolist()
        box = (left, top, left + width, top + height)
        flip = (bool(case.number('flip')), False)
        columns, rows = case['image_wh'].tolist()
        for size in (56, 14):
            found = region_map(
                box, flip, (rows, columns), grid=golden.number('regions/cfg_grid'), cells=size
            )
            assert torch.from_numpy(found).equal(case[f'map{size}_analytic'].long())
        coordinates = signed_boxes(
            torch.tensor([box]).double(),
            torch.tensor([flip]),
            size=torch.tensor([[rows, columns]]),
            convention='pixpro',
        )
        assert_close(coordinates[0], case['coord'], TOLERANCE, 'coordinates')


def test_accepted_pairs_of_crops(golden):
    crops = golden.sub('crops/')
    pairs = zip(crops['top_left_h_w_1'].tolist(), crops['top_left_h_w_2'].tolist(), strict=True)
    found = [
        enough_in_common(
            *((b, a, d, c) for a, b, c, d in pair), crops.number('cfg_min_share'), of='both'
        )
        for pair in pairs
    ]
    assert found == crops['accepted'].tolist()


def test_pairs_of_points(golden):
    case = golden.sub('overlap/')
    size = case.number('cfg_mask_size')
    found = cell_distances(case['coord_q'], case['coord_k'], (size, size))
    assert (found < case.number('cfg_pos_ratio')).equal(case['pos_mask'])


@pytest.mark.parametrize('kind', ['official', 'corrected'])
def test_points_of_maps(golden, kind):
    case = golden.sub('points/')
    slips = dict(transposed=kind == 'official', corners=kind == 'official')
    points = case['points_row_col']
    found = points_of_maps(
        case['feature'], points.flatten(1, 2), case.number('cfg_mask_size'), **slips
    )
    want = case[f'sampled_{kind}'].flatten(2).transpose(1, 2)
    assert_close(found, want, TOLERANCE, kind)


def test_contrast_of_regions(golden):
    case = golden.sub('supcon/')
    raw = {who: case[f'{who}_raw'].requires_grad_() for who in ('query', 'key')}
    unit = {who: F.normalize(x, dim=1)[:, :, 0].transpose(1, 2) for who, x in raw.items()}
    loss = region_contrast(
        unit['query'],
        unit['key'],
        temperature=case.number('cfg_temperature'),
        base_temperature=case.number('cfg_base_temperature'),
    )
    assert_close(loss.detach(), case['out_loss'], TOLERANCE)
    loss.backward()
    assert_close(raw['query'].grad, case['grad_query_raw'], GRADIENTS)
    assert_close(raw['key'].grad, case['grad_key_raw_if_not_detached'], GRADIENTS)


def test_distillation_of_rows(golden):
    for case in cases(golden, r'distill/call\d+_'):
        temperature = teacher_temperature(
            case.number('epoch'), start=0.04, end=0.07, warmup_epochs=30
        )
        assert temperature == pytest.approx(case.number('temp'), rel=1e-12)
        student = case['student'].requires_grad_()
        loss = distil_rows(
            student,
            case['teacher'],
            case['centre_before'],
            student_temperature=golden.number('distill/cfg_student_temp'),
            teacher_temperature=temperature,
        ).mean()
        assert_close(loss.detach(), case['out_loss'], TOLERANCE)
        loss.backward()
        assert_close(student.grad, case['grad_student'], GRADIENTS)
        model = tiny_plrc(centre_momentum=golden.number('distill/cfg_center_momentum')).double()
        model.centre = case['centre_before'].clone()
        model._move_centre(case['teacher'].sum(dim=0), len(case['teacher']))
        assert_close(model.centre, case['centre_after'], TOLERANCE, 'centre')
    table = golden['distill/teacher_temp_per_epoch']
    found = [
        teacher_temperature(epoch, start=0.04, end=0.07, warmup_epochs=30)
        for epoch in range(len(table))
    ]
    assert_close(torch.tensor(found, dtype=torch.float64), table, 1e-12, 'temperatures')


@pytest.mark.parametrize('kind', ['corrected', 'official'])
def test_image_term(golden, kind):
    case = golden.sub('image/')
    quirks = ('image_labels',) if kind == 'official' else ()
    model = tiny_plrc(
        queue_length=len(case['queue']),
        temperature=case.number('cfg_temperature'),
        release_quirks=quirks,
    )
    model.queue.keys = case['queue'].T
    raw = case['query_raw'].requires_grad_()
    loss = model._contrast_images(F.normalize(raw, dim=1), case['key'])
    assert_close(loss.detach(), case[f'{kind}_loss'], TOLERANCE)
    loss.backward()
    assert_close(raw.grad, case[f'{kind}_grad_query_raw'], GRADIENTS)


def ours(state: Golden, prefix: str = '') -> dict[str, Tensor]:
    """Weights of the two official heads under our names."""
    found = {}
    for key, value in state.items():
        name, _, rest = key.partition('.')
        if 'last_layer' in key:
            leaf = 'lengths' if key.endswith('weight_g') else 'prototypes'
            found[f'{prefix}head.{leaf}'] = value
            continue
        place = f'neck.mlp.{rest}' if name == 'fcs' else f'head.projector.{rest}'
        found[prefix + place] = value[..., None, None] if value.ndim == 2 else value
    return found


def golden_plrc(full: Golden, **kwargs) -> PLRC:
    """A host of the widths of the file, on maps in place of images."""
    number, state = full.number, full.sub('student/')
    inner, first = state['fcs.0.weight'].shape
    wide, hidden = state['fcs_2.mlp.6.weight'].shape
    vector = len(state['fcs.2.weight'])
    relu = dict(act='ReLU')
    settings = dict(
        backbone=GivenMaps(),
        neck=mlp(first, inner, vector, num_layers=2, with_norm=False, **relu),
        head=dict(
            type='PrototypeScores',
            projector=mlp(first, hidden, wide, **relu),
            num_prototypes=len(state['fcs_2.last_layer.weight_v']),
        ),
        image_weight=number('cfg_im_ratio'),
        contrast_weight=number('cfg_cl_ratio'),
        distill_weight=number('cfg_ts_ratio'),
        num_points=number('cfg_keep_point'),
        key_points='official',
        point_grid=number('cfg_mask_size'),
        distill_grid=number('cfg_mask_size'),
        queue_length=number('cfg_queue'),
        momentum=(number('cfg_ema'),) * 2,
        release_quirks=QUIRKS,
    )
    model = PLRC(**{**settings, **kwargs}).double().train()
    weights = ours(state) | ours(full.sub('teacher_before/'), 'teacher.')
    assert not model.load_state_dict(weights, strict=False).unexpected_keys
    model.centre.copy_(full['centre_before'])
    model.queue.keys.copy_(full['queue_before'].T)
    epoch = number('cfg_epoch')
    model.clock.set(iteration=epoch, max_iterations=100, iterations_per_epoch=1)
    return model


def batch(full: Golden) -> dict:
    """Crops of an image of 201 px whose coordinates are those of the file."""
    boxes, flips = [], []
    for who in ('query', 'partner'):
        near, far = full[f'coord_{who}'][:, :2] * 200, full[f'coord_{who}'][:, 2:] * 200
        flips.append(near > far)
        boxes.append(torch.cat((torch.minimum(near, far), torch.maximum(near, far) + 1), dim=1))
    shape = torch.full((len(boxes[0]), 2), 201)
    return dict(
        views=[full[f'c5_{who}'].clone() for who in ('query', 'partner', 'key')],
        crop_box=[*boxes, boxes[0]],
        flip=[*flips, flips[0]],
        ori_shape=[shape] * 3,
        points=[full[f'points_{who}_row_col'] for who in ('query', 'key')],
    )


def test_step(golden):
    full = golden.sub('full/')
    model = golden_plrc(full)
    queued = []
    model.queue.enqueue = queued.append  # the file's queue is no multiple of its batch
    inputs = batch(full)
    query = inputs['views'][0].requires_grad_()
    losses = model.loss(inputs)
    for name in ('image', 'contrast', 'distill'):
        want = full[f'out_loss_{name}'] * model.weights[name]
        assert_close(losses[f'loss_{name}'].detach(), want, TOLERANCE, name)
    total = sum(losses.values())
    assert_close(total.detach(), full['out_total_intended'], TOLERANCE, 'total')
    assert_close(model.centre, full['centre_after'], TOLERANCE, 'centre')
    assert_close(queued[0], full['queue_after'][: len(query)], TOLERANCE, 'queue')
    for name, value in ours(full.sub('teacher_after/'), 'teacher.').items():
        assert_close(model.state_dict()[name], value, TOLERANCE, name)
    total.backward()
    assert_close(query.grad, full['grad_c5_query'], GRADIENTS, 'gradient of the map')
    parameters = dict(model.named_parameters())
    for name, want in ours(full.sub('grad/')).items():
        error = (parameters[name].grad - want).abs().max()
        assert error <= max(GRADIENTS * want.abs().max().item(), 1e-11), name


def test_step_of_the_release(golden):
    full = golden.sub('full/')
    model = golden_plrc(full, release_quirks='all')
    model.queue.enqueue = lambda _: None
    total = sum(model.loss(batch(full)).values())
    assert_close(total.detach(), full['out_total_official_literal'], TOLERANCE)
