"""SlotCon against the official code: common parts of crops, and a whole step after the backbone."""

import pytest
import torch
from torch import Tensor

from mmdssl.models.algorithms.slotcon import SlotCon
from mmdssl.models.losses.slot_contrast import aligned_scores, counted_slots
from mmdssl.models.utils.crop_geometry import common_part
from tests.golden import Golden, assert_close
from tests.models.tiny_maps import GivenMaps
from tests.models.tiny_slotcon import mlp

pytestmark = pytest.mark.golden
TOLERANCE, GRADIENTS = 1e-9, 1e-6
STUDENT = {'projector_q.': 'neck.', 'grouping_q.': 'head.', 'predictor_slot.': 'predictor.'}
TEACHER = {'projector_k.': 'teacher.neck.', 'grouping_k.': 'teacher.head.'}


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden2/slotcon.npz'))


def boxes(golden: Golden) -> tuple[list[Tensor], list[Tensor]]:
    """Crops as x1 y1 x2 y2, and flips."""
    crops, flips = [], []
    for view in (1, 2):
        top, left, height, width = golden[f'crop/view{view}_top_left_h_w'].double().T
        crops.append(torch.stack((left, top, left + width, top + height), dim=1))
        flip = golden[f'crop/flip{view}'].bool()
        flips.append(torch.stack((flip, torch.zeros_like(flip)), dim=1))
    return crops, flips


def renamed(state: Golden, names: dict[str, str]) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        prefix = next(name for name in names if key.startswith(name))
        found[names[prefix] + key[len(prefix) :]] = value
    return found


def golden_slotcon(golden: Golden) -> SlotCon:
    """A host of the widths of the file, on maps in place of images."""
    state = golden.sub('student_before/')
    number = golden.number

    def widths(part: str) -> tuple[int, int, int]:
        first, last = state[f'{part}.mlp.0.weight'], state[f'{part}.mlp.6.weight']
        return first.shape[1], first.shape[0], last.shape[0]

    slots, width = state['grouping_q.slot_embed.weight'].shape
    model = SlotCon(
        backbone=GivenMaps(),
        neck=mlp(*widths('projector_q')),
        head=dict(
            type='SlotHead',
            in_channels=width,
            num_slots=slots,
            temperature=number('cfg_teacher_temp'),
        ),
        predictor=mlp(*widths('predictor_slot'), conv=False),
        group_weight=number('cfg_group_loss_weight'),
        student_temperature=number('cfg_student_temp'),
        teacher_temperature=number('cfg_teacher_temp'),
        contrast_temperature=number('cfg_contrast_temp'),
        centre_momentum=number('cfg_center_momentum'),
        momentum=(number('cfg_base_momentum'), 1.0),
    ).double()
    model.train()
    weights = renamed(state, STUDENT) | renamed(golden.sub('teacher_before/'), TEACHER)
    result = model.load_state_dict(weights, strict=False)
    assert not result.unexpected_keys
    assert all(
        'running' in key or 'tracked' in key or key.startswith(('data_pre', 'centre'))
        for key in result.missing_keys
    )
    model.centre.copy_(golden['centre_before'])
    model.clock.set(iteration=0, max_iterations=number('cfg_K_total_steps'))
    return model


def test_common_parts_of_crops(golden):
    crops, flips = boxes(golden)
    for view in range(2):
        found, meets = common_part(crops[view], crops[1 - view], flips[view])
        assert meets.all()
        assert_close(found, golden[f'crop/overlap_in_view{view + 1}'], TOLERANCE, f'view {view}')


def test_step_equals_official(golden):
    model = golden_slotcon(golden)
    # the momentum of step 0, in which nets that differ are no student and its copy
    model.teacher.update(model._followed(), momentum=golden.number('cfg_base_momentum'))
    for name, value in renamed(golden.sub('teacher_after/'), TEACHER).items():
        assert_close(model.state_dict()[name], value, TOLERANCE, name)
    crops, flips = boxes(golden)
    views = [golden[f'c5_view{view}'].requires_grad_() for view in (1, 2)]
    losses = model.loss(dict(views=views, crop_box=crops, flip=flips))
    total = sum(losses.values())
    weight = golden.number('cfg_group_loss_weight')
    for name, part, share in (('group', 'group', weight), ('slot', 'contrast', 1 - weight)):
        want = share * (golden[f'out_{part}_1to2'] + golden[f'out_{part}_2to1'])
        assert_close(losses[f'loss_{name}'].detach(), want, TOLERANCE, name)
    assert_close(total.detach(), golden['out_loss'], TOLERANCE, 'loss')
    assert_close(model.centre, golden['centre_after'], TOLERANCE, 'centre')
    total.backward()
    for view in (1, 2):
        assert_close(views[view - 1].grad, golden[f'grad_c5_view{view}'], GRADIENTS, f'view {view}')
    parameters = dict(model.named_parameters())
    for name, want in renamed(golden.sub('grad/'), STUDENT).items():
        error = (parameters[name].grad - want).abs().max()
        assert error <= max(GRADIENTS * want.abs().max().item(), 1e-11), name


def test_slots_scores_and_alignment_equal_official(golden):
    model = golden_slotcon(golden)
    model.teacher.update(model._followed(), momentum=golden.number('cfg_base_momentum'))
    crops, flips = boxes(golden)
    for who, view, net in (('student', 1, model), ('teacher', 2, model.teacher)):
        slots, scores, _ = model._encode(net, golden[f'c5_view{view}'])
        assert_close(slots.detach(), golden[f'slots_{who}_view{view}'], TOLERANCE, 'slots')
        assert_close(scores.detach(), golden[f'scores_{who}_view{view}'], TOLERANCE, 'scores')
        assert counted_slots(scores).equal(golden[f'slot_used_{who}_view{view}'])
        box, _ = common_part(crops[view - 1], crops[2 - view], flips[view - 1])
        rows = aligned_scores(scores, box, flips[view - 1]).permute(0, 2, 3, 1).flatten(0, 2)
        assert_close(rows.detach(), golden[f'aligned_scores_{who}_view{view}_rows'], TOLERANCE)
