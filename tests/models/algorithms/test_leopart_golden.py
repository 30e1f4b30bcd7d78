"""Leopart against the official code: assignments, foreground, loss with and without queue, step."""

import re

import pytest
import torch
from torch import Tensor

from mmdssl.conversion.official_ibot import backbone_from_official
from mmdssl.models.algorithms.leopart import Leopart
from mmdssl.models.losses.region_assignment import region_assignment_loss
from mmdssl.models.utils.attention_foreground import attention_foreground, tokens_and_attention
from mmdssl.models.utils.sinkhorn import sinkhorn
from tests.golden import Golden, assert_close

pytestmark = pytest.mark.golden


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden/leopart.npz'))


def matches(golden: Golden, pattern: str) -> list[re.Match]:
    """Names of the file that a pattern fits; fails where there are none."""
    found = [match for name in golden if (match := re.fullmatch(pattern, name))]
    assert found, f'the file holds nothing like {pattern}'
    return found


def test_sinkhorn(golden):
    for match in matches(golden, r'sinkhorn_assign_it(\d+)'):
        got = sinkhorn(golden['sinkhorn_scores'], iterations=int(match[1]))
        assert_close(got, golden[match[0]], what=match[0])


def test_attention_foreground(golden):
    for match in matches(golden, r'(attn\w*)_mask_(\d+)'):
        got = attention_foreground(golden[f'{match[1]}_in'][:, 0], mass=int(match[2]) / 100)
        assert torch.equal(got, golden[match[0]][:, 0] > 0), match[0]


def maps(rows: Tensor, views: int, images: int) -> Tensor:
    """Rows (views * images * L, K), view by view -> (views, images, K, side, side), L square."""
    side = round((len(rows) / (views * images)) ** 0.5)
    return rows.view(views, images, side, side, -1).permute(0, 1, 4, 2, 3)


class Recorded(Leopart):
    """Chooses the first rows to store, as the golden run did."""

    def _choose(self, view: int, available: int, count: int) -> Tensor:
        return torch.arange(min(available, count))


def host(golden: Golden, kind: type[Leopart] = Leopart, prefix: str = '', **kwargs) -> Leopart:
    """A host of the size that the file states."""
    number = golden.number
    return kind(
        backbone=dict(
            type='DenseViT',
            arch=dict(
                embed_dims=number('cfg_E'),
                num_layers=number('cfg_d'),
                num_heads=number('cfg_h'),
                feedforward_channels=len(golden['step/student/blocks.0.mlp.fc1.bias']),
            ),
            img_size=number('cfg_gc'),
            patch_size=number('cfg_P'),
            with_mask_token=False,
        ),
        head=dict(
            type='LeopartHead',
            in_channels=number('cfg_E'),
            hidden_channels=number('cfg_hid'),
            bottleneck_channels=number('cfg_D'),
            num_prototypes=number('cfg_K'),
        ),
        init='random',
        **kwargs,
    )


@pytest.mark.parametrize('mask', ['all', 'fg'])
@pytest.mark.parametrize('queue', ['', '_queue'])
def test_loss(golden, mask, queue):
    """The teacher's part of the host, the queue included, then the loss and its gradients."""
    case = f'loss_{mask}{queue}'
    images, globals_, locals_ = golden.number('cfg_bs'), *golden['cfg_nmb'].tolist()
    model = host(
        golden,
        Recorded,
        queue_length=len(golden[f'{case}_queue_before'][0]) if queue else 0,
        loss_mask='all' if mask == 'all' else 'foreground',
    )
    model.head.prototypes.weight.data = golden['prototypes']
    vectors = golden['teacher_emb'].view(globals_ * images, -1, golden.number('cfg_D'))
    # Stored scores, not those of the prototypes, are what the teacher says.
    scores = dict(zip(range(globals_), golden['teacher_scores'].chunk(globals_), strict=True))
    foreground = golden['fg_mask'][:, 0] > 0
    model._teacher_vectors = lambda _: (vectors, foreground.float(), vectors)
    model._foreground = lambda _: foreground if mask == 'fg' else torch.ones_like(foreground)
    model.teacher.head.scores = lambda flat: next(
        scores[g] for g in scores if torch.equal(flat, golden['teacher_emb'].chunk(globals_)[g])
    )
    if queue:
        model.queue.vectors.copy_(golden[f'{case}_queue_before'])
        model.queue.filled.fill_(model.queue.length)
    side = golden.number('cfg_gc')
    assignments, masks, _ = model._teach([torch.zeros(images, 3, side, side)] * globals_)
    want = maps(golden[f'{case}_assign_global1'], 1, images)[0]
    assert_close(assignments[1], want, what='assignments')
    if queue:
        assert_close(model.queue.vectors, golden[f'{case}_queue_after'], what='queue')

    rows = [golden[f'student_scores_{part}'].requires_grad_() for part in ('global', 'local')]
    loss = region_assignment_loss(
        assignments,
        [
            view
            for part, views in zip(rows, (globals_, locals_), strict=True)
            for view in maps(part, views, images)
        ],
        golden['boxes_in_global'],
        golden['boxes_in_other'],
        masks=masks if mask == 'fg' else None,
        patch_size=golden.number('cfg_P'),
        tolerance=0,  # as published; which covered cells rounding drops is the build's affair
    )
    assert_close(loss.detach(), golden[case])
    loss.backward()
    for part, leaf in zip(('global', 'local'), rows, strict=True):
        assert_close(leaf.grad, golden[f'{case}_grad_{part}'], what=part)


@pytest.mark.parametrize('mask', ['all', 'fg'])
def test_step(golden, mask):
    step = golden.sub('step/')
    model = host(
        golden,
        queue_length=0,
        loss_mask='all' if mask == 'all' else 'foreground',
        mask_tolerance=0,
    ).eval()
    for name, part in (('student', model), ('teacher', model.teacher)):
        state = step.sub(f'{name}/')
        head = {
            key.replace('projection_head.', 'mlp.'): value
            for key, value in state.items()
            if key.startswith(('projection_head.', 'prototypes.'))
        }
        part.head.load_state_dict(head)
        part.backbone.load_state_dict(
            backbone_from_official(
                {k: v for k, v in state.items() if k.replace('projection_head', 'mlp') not in head}
            )
        )
    crops = [step[f'crop{i}'] for i in range(len(golden['crop_boxes_in_image'][0]))]
    views = torch.cat(crops[: golden['cfg_nmb'][0]])  # what the teacher sees
    inputs = dict(
        views=crops,
        boxes_in_global=list(golden['boxes_in_global'].unbind(1)),
        boxes_in_other=list(golden['boxes_in_other'].unbind(1)),
    )
    loss = model.loss(inputs)['loss_assign']
    assert_close(loss.detach(), step[f'loss_{mask}'], 1e-4)
    loss.backward()
    assert_close(model.head.prototypes.weight, step['prototypes_student_after_norm'])
    _, attention = tokens_and_attention(model.teacher.backbone, views)
    assert_close(attention, step['attn_mean'][:, 0], 1e-4)
    if mask == 'fg':
        assert torch.equal(attention_foreground(attention), step['fg_mask'][:, 0] > 0)
        for got, want in (
            (model.head.prototypes.weight.grad, step['grad_prototypes']),
            (model.backbone.patch_embed.projection.weight.grad, step['grad_patch_proj']),
        ):
            assert_close(got, want, 1e-4)
    student = torch.cat(
        [part.flatten(2).transpose(1, 2).flatten(0, 1) for part in model._student(crops, None)[0]]
    )
    assert_close(student, step['student_scores'], 1e-4)
    vectors, *_ = model._teacher_vectors(views)
    assert_close(model.teacher.head.scores(vectors).flatten(0, 1), step['teacher_scores'], 1e-4)
