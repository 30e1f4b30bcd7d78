"""Complete training steps of golden files: official names, images, optimizers, comparison."""

from collections.abc import Callable, Iterator

import pytest
from torch import Tensor, nn

from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS
from tests.golden import Golden, assert_close
from tests.models.algorithms.narrow_soco import NarrowResNet

EXACT, STEP = 1e-9, 1e-6


def part_of(golden: Golden, prefix: str) -> Golden:
    """A part of a file; the test is skipped where it is too large to travel with the project."""
    part = golden.sub(prefix)
    if not len(part):
        pytest.skip(f'{prefix} does not travel with the project: set MMDSSL_SHARED to its folder')
    return part


def resnet_of(encoder: Golden) -> NarrowResNet:
    """A bottleneck ResNet of the sizes of the weights of a file."""
    stages = [encoder.sub(f'layer{stage}.') for stage in (1, 2, 3, 4)]
    middle, mixed = stages[0]['0.conv3.weight'].shape[1::-1]
    return NarrowResNet(
        stem=len(encoder['conv1.weight']),
        base=middle,
        blocks=tuple(len({name.split('.')[0] for name in stage}) for stage in stages),
        expansion=mixed // middle,
        zero_init_residual=False,
    )


def image_of(low: Tensor, times: int) -> Tensor:
    """(N, 3, H, W) float64 of int8 pixels, each repeated in both directions."""
    return (low.double() / 16).repeat_interleave(times, 2).repeat_interleave(times, 3)


def load(model: nn.Module, state: Golden, our_name: Callable[[str], str]) -> None:
    """All parameters of a file; the file has to have all of the model's."""
    given = {our_name(name): value for name, value in state.items()}
    result = model.load_state_dict(given, strict=False)
    assert not result.unexpected_keys
    parameters = dict(model.named_parameters())
    assert not set(result.missing_keys) & set(parameters)


def wrapper_of(model: nn.Module, optimizer: dict, **settings):
    """The optimizer wrapper of a config for a model."""
    config = dict(type='OptimWrapper', optimizer=optimizer)
    constructor = dict(
        type='SelfSupOptimWrapperConstructor', optim_wrapper_cfg=config, paramwise_cfg=settings
    )
    return OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)


def steps_of(golden: Golden) -> Iterator[tuple[int, Golden]]:
    """The steps of a file, in order."""
    numbers = sorted({int(name.split('/')[0][4:]) for name in golden if name.startswith('step')})
    for number in numbers:
        yield number, golden.sub(f'step{number}/')


def assert_all_close(
    got: Callable[[str], Tensor | None], want: Golden, what: str, tolerance: float = STEP
) -> None:
    """Every tensor of a part of a file; rounding noise of vanishing gradients passes."""
    assert len(want), what
    for name, value in want.items():
        found = got(name)
        assert found is not None, f'{what} {name}'
        if value.abs().max() > 1e-11 or found.abs().max() > 1e-11:
            assert_close(found, value, tolerance, f'{what} {name}')
