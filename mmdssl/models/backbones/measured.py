"""Backbones of other libraries that are measured as they are, never trained here.

All give the same: maps of their taps, the class token and registers where there are any, how many
tokens stand in front of the patches, and the stride. What does not add up is refused, because a
register left in a map, or a class token that is not there, shows in no shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.core.locating import tensors
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.core.weight_values import check_finite
from mmdssl.core.wording import listed_after

__all__ = ['DenseTokens', 'MeasuredBackbone', 'as_maps']


@dataclass(frozen=True)
class DenseTokens:
    """What a network makes of images.

    Attributes:
        patches: A map (N, C, h, w) a tap, from the shallowest to the deepest.
        cls: (N, C) class token of the last tap; None where there is none.
        registers: (N, R, C) of the last tap; None where there are none.
        prefix: Tokens in front of the patches: class token and registers.
        stride: Pixels of the image for a cell of the last map, (y, x).
        normed: Whether the last map went through a final norm.
    """

    patches: tuple[Tensor, ...]
    cls: Tensor | None
    registers: Tensor | None
    prefix: int
    stride: tuple[float, float]
    normed: bool


def as_maps(tokens: Tensor, prefix: int, grid: tuple[int, int], name: str) -> Tensor:
    """Tokens (N, T, C) to a map (N, C, h, w).

    Args:
        tokens: With ``prefix`` in front, patches row-major.
        prefix: How many are not patches.
        grid: (h, w).
        name: Of the network, for the message.

    Raises:
        ValueError: If the patches do not fill the grid.
    """
    if tokens.shape[1] - prefix != grid[0] * grid[1]:
        raise ValueError(
            f'{name} gives {tokens.shape[1]} tokens, {prefix} of them not patches, for a grid of '
            f'{grid[0]} x {grid[1]}: it counts its tokens in another way, so its maps would be '
            'shifted'
        )
    return tokens[:, prefix:].transpose(1, 2).unflatten(2, grid)


class MeasuredBackbone(BaseModule):
    """A network of another library behind :class:`DenseTokens`.

    Subclasses say in :meth:`tokens` what comes out.

    Args:
        wrapped: The network.
        name: Of the network, for messages.
        checkpoint: State dict of the wrapped network under its own names (``torch.save`` or
            safetensors), which has to be complete; heads of classifiers are spared.
    """

    #: Side of a patch in pixels, of vision transformers.
    patch_size: int | None = None
    #: Beginnings of the names of classifiers, which features do not depend on.
    heads: tuple[str, ...] = ('fc.', 'head.fc.', 'head.', 'heads.', 'classifier.')

    def __init__(self, wrapped: nn.Module, *, name: str, checkpoint: str | None = None) -> None:
        super().__init__()
        self.wrapped = wrapped
        self.title = f'{type(self).__name__}({name})'
        self.with_weights = checkpoint is not None
        if checkpoint is not None:
            self._load(checkpoint)
        self.eval()

    def init_weights(self) -> None:
        """Nothing: weights come with the construction, or are those of the library's start."""

    def tokens(self, images: Tensor) -> DenseTokens:
        """(N, 3, H, W) float, normalised -> what the network makes of them."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps of the taps: (N, 3, H, W) float, normalised -> (N, C, h, w) each."""
        return self.tokens(images).patches

    def _load(self, checkpoint: str) -> None:
        state = tensors(load_checkpoint_file(checkpoint), checkpoint)
        check_finite(state, checkpoint)
        own = self.wrapped.state_dict()
        state = {
            name: value for name, value in state.items() if name in own or not self._head(name)
        }
        missing = [n for n in own if n not in state and not self._head(n)]
        missing = [name for name in missing if not name.endswith('num_batches_tracked')]
        strangers = [name for name in state if name not in own]
        if missing or strangers:
            raise ValueError(
                f'{checkpoint} is not of {self.title}: {len(missing)} of its tensors are '
                f'missing{listed_after(missing, 3)}, {len(strangers)} are not '
                f'its{listed_after(strangers, 3)}'
            )
        wrong = [n for n, value in state.items() if value.shape != own[n].shape]
        if wrong:
            raise ValueError(
                f'{checkpoint} is not of {self.title}: {len(wrong)} tensors have another '
                f'shape{listed_after(wrong, 3)}'
            )
        self.wrapped.load_state_dict(state, strict=False)
        print_log(f'{self.title}: {len(state)} tensors from {checkpoint}', logger='current')

    def _head(self, name: str) -> bool:
        return name.startswith(self.heads)


def stride_of(images: Tensor, cells: Tensor) -> tuple[float, float]:
    """Pixels of images (N, 3, H, W) for a cell of a map (N, C, h, w)."""
    return images.shape[-2] / cells.shape[-2], images.shape[-1] / cells.shape[-1]


def listen(net: nn.Module, names: Sequence[str], images: Any, title: str) -> list[Tensor]:
    """Outputs (N, C, h, w) of named modules in one pass without gradients of the rest.

    Raises:
        ValueError: If there is no such module, or its output is no map.
    """
    modules = dict(net.named_modules())
    unknown = [name for name in names if name not in modules]
    if unknown:
        known = ', '.join(name for name, _ in net.named_children())
        raise ValueError(f'{title} has no module {unknown[0]!r}: name one of it, like {known}')
    seen: dict[str, Any] = {}
    handles = [
        modules[name].register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for name in names
    ]
    try:
        net(images)
    finally:
        for handle in handles:
            handle.remove()
    for name in names:
        if not isinstance(seen[name], torch.Tensor) or seen[name].ndim != 4:
            raise ValueError(f'{title}: module {name!r} gives no map (N, C, h, w): choose another')
    return [seen[name] for name in names]
