"""What a network holds of every patch, by the name of the place: outputs, keys, un-normed tokens.

Affinity, object discovery and artefacts look at different things of the same pass. A place is

- ``'last'``: the map a downstream task reads, :func:`mmdssl.evaluation.features.dense_map`;
- ``'keys'``: keys of the last block's attention, heads side by side, as a hook on its projection
  sees them: before rotary positions, before a norm of keys (LOST, TokenCut);
- ``'prenorm'``: tokens behind the last block and before the final norm; of a CNN the last map;
- ``'embedding'``: patch embeddings before positions are added;
- any name of :mod:`mmdssl.evaluation.layers`, e.g. ``'block3'`` or ``'C4'``.

How many tokens stand in front of the patches (class token, registers) follows from the grid of the
last map and is the same everywhere, so that a register never counts as a patch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor, nn

from mmdssl.evaluation.features import dense_map
from mmdssl.evaluation.layers import resolve_layer

__all__ = ['PatchTokens', 'has_keys', 'patch_tokens', 'token_of', 'transformer_blocks']

# Where libraries keep the blocks of a transformer, from the network on.
_BLOCKS = ('layers', 'blocks', 'encoder.layers', 'encoder.layer', 'layer')
_KEY_LAYERS = ('key', 'k_proj', 'key_proj')


class PatchTokens(NamedTuple):
    """What lies at one place.

    Attributes:
        patches: (N, C, h, w) float32.
        prefix: (N, P, C) float32, class token and registers in the network's order; P is 0 where
            there are none, or where they are not part of what is read ('last', 'embedding').
    """

    patches: Tensor
    prefix: Tensor


def transformer_blocks(backbone: nn.Module) -> list[nn.Module]:
    """Blocks of a vision transformer of mmpretrain, timm, transformers or torchvision; or none."""
    net = getattr(backbone, 'wrapped', backbone)
    modules = dict(net.named_modules())
    for name in _BLOCKS:
        blocks = modules.get(name)
        if isinstance(blocks, (nn.ModuleList, nn.Sequential)) and len(blocks):
            found = list(blocks)
            if _attention(found[-1]) is not None:
                return found
    return []


def has_keys(backbone: nn.Module) -> bool:
    """Whether there is a last block whose keys can be read."""
    return bool(transformer_blocks(backbone))


def patch_tokens(
    backbone: nn.Module,
    images: Float[Tensor, 'n ch h w'],
    places: Sequence[str] = ('last',),
    *,
    upsample_c4: bool = True,
) -> dict[str, PatchTokens]:
    """Tokens at the named places in one pass, in the mode the backbone is in.

    Args:
        backbone: mmpretrain, torchvision, an adapter of this package or any module of images.
        images: (N, ch, H, W) float, normalised.
        places: Names, see the module.
        upsample_c4: Rule for ResNets, see :mod:`mmdssl.evaluation.features`.

    Returns:
        By name, in the order of ``places``.

    Raises:
        ValueError: If there is no such place, or its tokens do not fit the grid of the last map.
    """
    title = getattr(backbone, 'title', type(backbone).__name__)
    listeners = {name: _listener(backbone, name, title) for name in places}
    with _listening({n: one for n, one in listeners.items() if one is not None}) as seen:
        last = dense_map(backbone, images, upsample_c4=upsample_c4)
    found = {}
    for name in places:
        if name == 'last' or listeners[name] is None:
            found[name] = PatchTokens(last, last.new_zeros(len(last), 0, last.shape[1]))
            continue
        if name not in seen:
            raise ValueError(f'{title} does not go through its {name!r} in a pass of images')
        found[name] = _split(seen[name], last, name, title)
    return found


def token_of(
    tokens: Mapping[str, Float[Tensor, '_ _ _']], place: str, reader: object
) -> Float[Tensor, '_ _ _']:
    """What a sample holds of a place.

    Args:
        tokens: Its ``patch_tokens``, by place (C, h, w).
        place: See the module.
        reader: Who asks, for the message.

    Raises:
        ValueError: If the extractor did not read that place.
    """
    if place not in tokens:
        raise ValueError(
            f'{type(reader).__name__} reads the tokens {place!r}, and the extractor gives '
            f'{", ".join(tokens)}: add it to extractor=dict(tokens=[...]) of the config'
        )
    return tokens[place]


_Listener = tuple[nn.Module, Callable[[nn.Module, tuple, dict, Any], Any], bool]


def _listener(backbone: nn.Module, name: str, title: str) -> _Listener | None:
    """Module, what is read off its call, and whether that is its input; None for the last map."""
    if name == 'last':
        return None
    blocks = transformer_blocks(backbone)
    if name == 'keys':
        attention = _attention(blocks[-1]) if blocks else None
        if attention is None:
            raise ValueError(
                f'{title} has no attention whose keys can be read: measure its outputs instead, '
                "features='last'"
            )
        return attention, _keys, True
    if name == 'prenorm':
        return (blocks[-1], _output, False) if blocks else None
    if name == 'embedding':
        net = getattr(backbone, 'wrapped', backbone)
        first = next((part for part in net.modules() if isinstance(part, nn.Conv2d)), None)
        if not blocks or first is None:
            raise ValueError(f'{title} has no patch embedding: it is no vision transformer')
        return first, _output, False
    module = resolve_layer(backbone, name)
    assert module is not None  # only 'last' is none
    return module, _output, False


def _output(module: nn.Module, inputs: tuple, named: dict, output: Any) -> Any:
    return output


def _keys(module: nn.Module, inputs: tuple, named: dict, output: Any) -> Float[Tensor, 'n t c']:
    """Keys (N, T, C) of an attention by its input."""
    attention: Any = module
    tokens = inputs[0] if inputs else named['hidden_states']
    if isinstance(module, nn.MultiheadAttention):
        weight = attention.in_proj_weight.chunk(3)[1]
        bias = attention.in_proj_bias
        return F.linear(tokens, weight, None if bias is None else bias.chunk(3)[1])
    for name in _KEY_LAYERS:
        if isinstance(getattr(module, name, None), nn.Linear):
            return getattr(attention, name)(tokens)
    if getattr(attention, 'q_bias', None) is not None:  # timm's Eva adds its biases by hand
        weight = attention.qkv.weight.chunk(3)[1]
        return F.linear(tokens, weight, getattr(attention, 'k_bias', None))
    return attention.qkv(tokens).chunk(3, dim=-1)[1]


def _attention(block: nn.Module) -> nn.Module | None:
    """The first part of a block that projects tokens to keys."""
    for part in block.modules():
        if isinstance(part, nn.MultiheadAttention):
            return part
        if isinstance(getattr(part, 'qkv', None), nn.Linear):
            return part
        if any(isinstance(getattr(part, name, None), nn.Linear) for name in _KEY_LAYERS):
            return part
    return None


@contextmanager
def _listening(listeners: Mapping[str, _Listener]) -> Iterator[dict[str, Any]]:
    """What the listeners read of the passes inside; of a module called twice, the last call."""
    seen: dict[str, Any] = {}

    def keeper(name: str, read: Callable) -> Callable:
        def keep(module: nn.Module, inputs: tuple, named: dict, output: Any = None) -> None:
            seen[name] = read(module, inputs, named, output)

        return keep

    handles = [
        module.register_forward_pre_hook(keeper(name, read), with_kwargs=True)
        if before
        else module.register_forward_hook(keeper(name, read), with_kwargs=True)
        for name, (module, read, before) in listeners.items()
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _split(output: Any, last: Float32[Tensor, 'n c h w'], name: str, title: str) -> PatchTokens:
    """Map, or tokens with a prefix, to both apart."""
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    number, grid = len(last), last.shape[-2:]
    if isinstance(output, Tensor) and output.ndim == 4 and len(output) == number:
        cells = output.float()
        return PatchTokens(cells, cells.new_zeros(number, 0, cells.shape[1]))
    patches = grid[0] * grid[1]
    if isinstance(output, Tensor) and output.ndim == 3 and len(output) == number:
        tokens = output.float()
        if tokens.shape[1] >= patches:
            own = tokens[:, tokens.shape[1] - patches :]  # (N, h*w, C)
            prefix = tokens[:, : tokens.shape[1] - patches]
            return PatchTokens(own.transpose(1, 2).unflatten(2, tuple(grid)), prefix)
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    raise ValueError(
        f'{title}: {name!r} gives {shape}, no tokens of the {grid[0]} x {grid[1]} patches of its '
        'last map'
    )
