"""BYOL against mmpretrain's: three steps with its LARS."""

import pytest
from torch import Tensor, nn

from tests.golden import Golden, assert_close
from tests.models.algorithms.full_steps import STEP, assert_all_close, steps_of, wrapper_of
from tests.models.tiny_resnet import byol_mlp, tiny_byol

pytestmark = pytest.mark.golden


class TinyNet(nn.Module):
    """The file's backbone: a convolution, BatchNorm, ReLU."""

    def __init__(self, weight: Tensor, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(weight.shape[1], len(weight), kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(len(weight))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.bn1(self.conv1(images)).relu(),)


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden2/byol.npz'))


def teacher_name(official: str) -> str:
    """mmpretrain's target network is a sequence of backbone and neck."""
    place, _, rest = official.partition('.')
    return f'teacher.{("backbone", "neck")[int(place)]}.{rest}'


def mlp(state: Golden, *, pool: bool) -> dict:
    inner, width = state['fc0.weight'].shape
    return byol_mlp(width, pool=pool, inner=inner, out=len(state['fc1.weight']))


def test_steps_equal_mmpretrain(golden):
    state = golden.sub('state_before/')
    model = tiny_byol(
        backbone=TinyNet(
            state['backbone.conv1.weight'], *golden['cfg_conv_kernel_stride_padding'].tolist()
        ),
        neck=mlp(state.sub('neck.'), pool=True),
        head=dict(
            type='LatentPredictHead',
            loss=dict(type='CosineSimilarityLoss'),
            predictor=mlp(state.sub('head.predictor.'), pool=False),
        ),
        momentum=(golden.number('cfg_base_momentum'), 1.0),
    ).double()
    result = model.load_state_dict(dict(state), strict=False)
    assert not result.unexpected_keys
    excluded = {name: dict(lars_exclude=True) for name in golden.strings('names_excluded')}
    wrapper = lars_of(model, golden, excluded)
    parameters = dict(model.named_parameters())
    for number, step in steps_of(golden):
        # mmpretrain moves its target before the target's pass; ours moved after the step before
        if number == 0:
            model.teacher.copy_from(model._followed())
        else:
            model.clock.set(iteration=number - 1, max_iterations=golden.number('cfg_max_iters'))
            model.update_teacher()
        predicted: list[Tensor] = []
        taught: list[Tensor] = []
        handles = [
            model.head.predictor.register_forward_hook(
                lambda _, __, out, kept=predicted: kept.append(out[0])
            ),
            model.teacher.neck.register_forward_hook(
                lambda _, __, out, kept=taught: kept.append(out[0])
            ),
        ]
        loss = model.loss(dict(views=[step['image1'], step['image2']]))['loss_byol']
        for handle in handles:
            handle.remove()
        for view in (0, 1):
            assert_close(predicted[view], step[f'pred{view + 1}'], STEP, f'prediction {view}')
            assert_close(taught[view], step[f'target{view + 1}'], STEP, f'target {view}')
        assert_close(loss, step['out_loss'], STEP, f'loss {number}')
        assert_close(2 * (step['out_half1'] + step['out_half2']), step['out_loss'], STEP)
        wrapper.zero_grad()
        loss.backward()
        assert_all_close(lambda name: parameters[name].grad, step.sub('grad/'), 'gradient')
        assert_all_close(
            lambda name: parameters[teacher_name(name)], step.sub('target_after/'), 'teacher'
        )
        wrapper.step()
        if wanted := step.sub('student_after/'):
            assert_all_close(lambda name: parameters[name].detach(), wanted, 'student')


def lars_of(model: nn.Module, golden: Golden, excluded: dict):
    """mmpretrain's optimizer, with the groups the file names."""
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(excluded) <= names
    settings = {name: dict(decay_mult=0.0, **more) for name, more in excluded.items()}
    return wrapper_of(
        model,
        dict(
            type='mmpretrain.LARS',
            lr=golden.number('cfg_lr'),
            momentum=golden.number('cfg_sgd_momentum'),
            weight_decay=golden.number('cfg_weight_decay'),
            eta=golden.number('cfg_eta'),
            eps=golden.number('cfg_lars_eps'),
        ),
        custom_keys=settings,
    )
