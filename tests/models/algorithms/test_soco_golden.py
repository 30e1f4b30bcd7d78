"""SoCo against the official C4 model: two steps of a narrow net, and the teacher's schedule."""

import pytest
import torch
from torch import Tensor

from mmdssl.models.algorithms import soco
from mmdssl.models.algorithms.soco import SoCo
from tests.golden import Golden, assert_close
from tests.models.algorithms.narrow_soco import NarrowResNet, mlp, narrow_soco

MODULES = {
    'encoder': 'backbone',
    'projector': 'neck',
    'predictor': 'head',
    'encoder_k': 'teacher.backbone',
    'projector_k': 'teacher.neck',
}
LAYERS = {'linear1': 'fc0', 'bn1': 'bn0', 'linear2': 'fc1'}
TOLERANCE = 1e-4


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden/soco_loss.npz')).sub('full/')


def our_name(official: str) -> str:
    module, _, rest = official.partition('.')
    if 'encoder' not in module:
        layer, _, leaf = rest.partition('.')
        rest = f'{LAYERS[layer]}.{leaf}'
    return f'{MODULES[module]}.{rest}'


def golden_soco(golden: Golden) -> SoCo:
    """A net of the sizes of the file's, with its teacher's momentum."""
    state = golden.sub('state_before/')
    encoder = state.sub('encoder.')
    stages = [encoder.sub(f'layer{stage}.') for stage in (1, 2, 3, 4)]
    middle, mixed = stages[0]['0.conv3.weight'].shape[1::-1]
    backbone = NarrowResNet(
        stem=len(encoder['conv1.weight']),
        base=middle,
        blocks=tuple(len({name.split('.')[0] for name in stage}) for stage in stages),
        expansion=mixed // middle,
        zero_init_residual=False,
    )
    heads = {}
    for ours, official in (('neck', 'projector'), ('head', 'predictor')):
        inner, wide = state[f'{official}.linear1.weight'].shape
        heads[ours] = mlp(inner, (wide, len(state[f'{official}.linear2.weight'])))
    momentum = (golden.number('base_momentum'), 1.0)
    return narrow_soco(backbone=backbone, **heads, momentum=momentum)


def batch(step: Golden) -> dict:
    """The file's boxes are shares of the view."""
    views = [step['im1'].double(), step['im2'].double()]
    boxes = [step[f'boxes{v}'].double() for v in (1, 2)]
    ids = [box[..., 4].long() for box in boxes]
    sides = [torch.tensor([*view.shape[:1:-1]] * 2) for view in views]
    pixels = [box[..., :4] * side for box, side in zip(boxes, sides, strict=True)]
    return dict(views=views, boxes=pixels, box_ids=ids)


def load(model: SoCo, state: dict[str, Tensor], *, complete: bool) -> None:
    result = model.load_state_dict({our_name(k): v for k, v in state.items()}, strict=False)
    assert not result.unexpected_keys
    if complete:
        assert all(key.startswith('data_preprocessor') for key in result.missing_keys)


@pytest.mark.golden
def test_steps_equal_official(golden, monkeypatch):
    model = golden_soco(golden).double()
    load(model, golden.sub('state_before/'), complete=True)
    total = golden.number('K_total_steps')
    steps = sorted(int(name[4:-4]) for name in golden if name.startswith('step') and '/im1' in name)
    assert len(steps) > 1
    for number in steps:
        step = golden.sub(f'step{number}/')
        if number == 0:  # the file's nets differ at the start, where ours are equal
            momentum = step.number('ema_momentum')
            model.teacher.update(model._followed(), momentum=momentum)
        else:
            load(model, golden.sub(f'step{number - 1}/student_moved_to/'), complete=False)
            model.clock.set(iteration=number - 1, max_iterations=total)
            model.update_teacher()
        # the file pairs boxes freely, also where no ids could
        monkeypatch.setattr(soco, 'correspondence', lambda *_, step=step: step['correspondence'])
        check_step(model, step)
        for name, value in step.sub('teacher_after/').items():
            assert_close(model.state_dict()[our_name(name)], value, TOLERANCE, f'teacher {name}')


def check_step(model: SoCo, step: Golden) -> None:
    seen: dict[str, list[Tensor]] = {}
    handles = [
        module.register_forward_hook(
            lambda _, inputs, output, name=name: seen.setdefault(name, []).append(
                (inputs[0][0].detach(), output[0].detach())
            )
        )
        for name, module in (
            ('student', model.neck),
            ('teacher', model.teacher.neck),
            ('head', model.head),
        )
    ]
    losses = model.loss(batch(step))
    for handle in handles:
        handle.remove()
    (feat1, proj1), (feat2, _) = seen['student']
    assert_close(feat1, step['feat_1'], TOLERANCE, 'region vectors, view 1')
    assert_close(feat2, step['feat_2'], TOLERANCE, 'region vectors, view 2')
    assert_close(proj1, step['proj_1'], TOLERANCE, 'projections, view 1')
    for view in range(2):
        unit = torch.nn.functional.normalize(seen['head'][view][1], dim=1)
        assert_close(unit, step[f'pred_{view + 1}'], TOLERANCE, f'predictions, view {view}')
        unit = torch.nn.functional.normalize(seen['teacher'][view][1], dim=1)
        assert_close(unit, step[f'proj_{view + 1}_ng'], TOLERANCE, f'targets, view {view}')
    assert_close(seen['teacher'][0][0], step['feat_1_ng'], TOLERANCE, 'teacher vectors')
    loss = losses['loss_region']
    assert_close(loss, step['loss'], TOLERANCE, 'loss')
    wanted = {
        'grad_conv1': model.backbone.conv1.weight,
        'grad_layer4_conv1': model.backbone.layer4[0].conv1.weight,
        'grad_predictor_linear2': model.head.fc1.weight,
    }
    for (name, _), gradient in zip(
        wanted.items(), torch.autograd.grad(loss, list(wanted.values())), strict=True
    ):
        assert_close(gradient, step[name], TOLERANCE, name)


@pytest.mark.golden
def test_teacher_momentum_of_every_step_equals_official(shared, monkeypatch):
    golden = Golden.load(shared('golden/soco_loss.npz'))
    table = golden['ema_table']
    total = golden.number('full/K_total_steps')
    model = golden_soco(golden.sub('full/'))
    used: list[float] = []
    monkeypatch.setattr(model.teacher, 'update', lambda modules, *, momentum: used.append(momentum))
    for step in range(total):  # the update after step k is the official one of step k + 1
        model.clock.set(iteration=step, max_iterations=total)
        model.update_teacher()
    assert_close(torch.tensor(used, dtype=torch.float64), table[1:], 1e-12, 'momentum')
    # The same from data and batch; a loader that drops incomplete batches ends earlier in it.
    images, batch_size, epochs = (
        golden.number(f'full/{name}') for name in ('num_instances', 'batch_size', 'epochs')
    )
    length = images // batch_size
    model.check_data(batch_size=batch_size, num_images=images)
    used.clear()
    for step in range(epochs * length):
        model.clock.set(iteration=step, max_iterations=epochs * length, iterations_per_epoch=length)
        model.update_teacher()
    want = table[1 : epochs * length + 1]
    assert_close(torch.tensor(used, dtype=torch.float64), want, 1e-12, 'momentum of a run')
