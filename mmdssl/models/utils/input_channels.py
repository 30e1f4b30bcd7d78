"""Weights of RGB networks for images of n channels.

The first convolution is the only part of a network that knows channels. Each of its filters is
replaced by n equal ones, the mean over R, G, B times 3 / n: an image of n equal channels gets the
response that the grey image of three equal channels had, and what follows stays as it was trained.
"""

from collections.abc import Mapping

from mmengine.logging import print_log
from torch import Tensor, nn

__all__ = ['inflated', 'spread_over_channels']

_RGB = 3
# By family: vision transformers, ResNet, ResNet with a deep stem, ConvNeXt.
_FIRST = (
    'patch_embed.projection.weight',
    'conv1.weight',
    'stem.0.conv.weight',
    'downsample_layers.0.0.weight',
)


def spread_over_channels(weight: Tensor, channels: int) -> Tensor:
    """Filters (C, 3, kh, kw) for R, G, B as filters (C, n, kh, kw)."""
    if channels == _RGB:
        return weight
    mean = weight.mean(dim=1, keepdim=True) * (_RGB / channels)
    return mean.repeat(1, channels, 1, 1)


def inflated(state: Mapping[str, Tensor], module: nn.Module, origin: object) -> dict[str, Tensor]:
    """The weights of a file for a network that takes another number of channels.

    Args:
        state: Of the file, under the names of ``module``.
        module: The backbone, or a part of it.
        origin: The file, for the line that the log gets.

    Returns:
        ``state``; where it takes R, G, B and ``module`` takes n other channels, with the first
        convolution spread over these.
    """
    given, wanted = dict(state), module.state_dict()
    for name in _FIRST:
        if name not in given or name not in wanted or given[name].ndim != 4:
            continue
        channels = wanted[name].shape[1]
        if given[name].shape[1] == _RGB != channels:
            given[name] = spread_over_channels(given[name], channels)
            print_log(
                f'{origin} was trained on R, G, B: {name} becomes the mean of the three, spread '
                f'over {channels} channels, so that equal channels give the response they gave',
                logger='current',
            )
    return given
