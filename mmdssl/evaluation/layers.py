"""Feature maps of chosen layers of any backbone, all in one pass.

Coupling and position bias are measured layer by layer (D3SSL, Fig. 3b, 4b). A layer is named
``'last'`` (the map a downstream task reads), ``'C2'`` to ``'C5'`` for the stages of a ResNet,
``'block0'``, ``'block1'``, ... for the blocks of a vision transformer, or by the dotted name of
any sub-module. Forward hooks collect them, so a backbone needs no preparation. Of an adapter
(:class:`mmdssl.models.backbones.measured.MeasuredBackbone`) the network within it is meant.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

__all__ = ['block_count', 'layer_maps', 'layers_by_depth', 'resolve_layer']

_RESNET_STAGES = {'C2': 'layer1', 'C3': 'layer2', 'C4': 'layer3', 'C5': 'layer4'}
# Names of stages and blocks, of networks here and of other libraries.
_DEEPER = re.compile(
    r'(?:(layer)\d+|(layers|blocks|stages|features)\.\d+'
    r'|((?:encoder\.)?layer)\.\d+|encoder\.(layers)\.(?:encoder_layer_)?\d+)'
)
# Blocks of the transformers of mmpretrain, timm, torchvision, transformers (DINOv2, DINOv3).
_BLOCK_LISTS = ('layers', 'blocks', 'encoder.layers', 'encoder.layer', 'layer')


def resolve_layer(backbone: nn.Module, name: str) -> nn.Module | None:
    """The sub-module a layer's name stands for; None for ``'last'``.

    Raises:
        ValueError: If the backbone has no such layer; the sentence lists those it has.
    """
    if name == 'last':
        return None
    net = _net(backbone)
    modules = dict(net.named_modules())
    if name in _RESNET_STAGES and _RESNET_STAGES[name] in modules:
        return modules[_RESNET_STAGES[name]]
    if name.startswith('block') and name[5:].isdigit():
        blocks = _blocks(modules)
        if int(name[5:]) < len(blocks):
            return blocks[int(name[5:])]
    if name and name in modules:
        return modules[name]
    raise ValueError(
        f'{type(net).__name__} has no layer {name!r}; it has '
        f'{", ".join(_known_layers(modules))}, or give the dotted name of a sub-module'
    )


def layers_by_depth(backbone: nn.Module, count: int) -> list[str]:
    """Names of ``count`` layers, the first behind an n-th of the depth, the last one ``'last'``.

    Depth is counted in stages of a CNN, or blocks of a transformer. Of a network with fewer of
    them all are given; without a list of either, only ``'last'`` is known.

    Args:
        backbone: Of mmpretrain, torchvision, or an adapter.
        count: At least 1.
    """
    groups: dict[str, list[str]] = {}
    for name, _ in _net(backbone).named_modules():
        match = _DEEPER.fullmatch(name)
        if match:
            groups.setdefault(next(filter(None, match.groups())), []).append(name)
    names = max(groups.values(), key=len, default=[])
    depth = len(names)
    count = max(1, min(count, depth))
    return [*(names[-(-depth * n // count) - 1] for n in range(1, count)), 'last']


def block_count(backbone: nn.Module) -> int:
    """Blocks of a transformer, which are called ``'block0'``, ``'block1'``, ...; 0 for others."""
    return len(_blocks(dict(_net(backbone).named_modules())))


def _net(backbone: nn.Module) -> nn.Module:
    """The network itself, of an adapter what it wraps."""
    return getattr(backbone, 'wrapped', backbone)


def _blocks(modules: dict[str, nn.Module]) -> list[nn.Module]:
    lists = (modules[name] for name in _BLOCK_LISTS if name in modules)
    return next((list(one.children()) for one in lists if len(list(one.children()))), [])


def _known_layers(modules: dict[str, nn.Module]) -> list[str]:
    known = ['last', *(name for name, stage in _RESNET_STAGES.items() if stage in modules)]
    count = len(_blocks(modules))
    return [*known, f'block0 to block{count - 1}'] if count else known


def layer_maps(
    backbone: nn.Module, images: Float[Tensor, 'n ch h w'], layers: Sequence[str] = ('last',)
) -> dict[str, Float32[Tensor, 'n _ _ _']]:
    """Maps of the named layers, in the mode the backbone is in, with its gradients.

    Args:
        backbone: mmpretrain, torchvision or any other module of images.
        images: (N, ch, H, W) float, normalised.
        layers: Names, see the module; ``'last'`` is what the backbone returns, the last one of a
            tuple (for a ViT with the final norm).

    Returns:
        By name, in the order of ``layers``: (N, C, h, w) float32. Tokens of a transformer block
        become a map, those in front of the patches (CLS) left out.

    Raises:
        ValueError: If a layer does not exist, or its output is no map and no tokens of a grid.
    """
    targets = {name: resolve_layer(backbone, name) for name in layers}
    with _collect({n: m for n, m in targets.items() if m is not None}) as outputs:
        outputs['last'] = backbone(images)
    return {name: _as_map(outputs[name], images, name) for name in layers}


@contextmanager
def _collect(modules: dict[str, nn.Module]) -> Iterator[dict[str, object]]:
    """Outputs of the modules of all passes inside; of a module used twice, the last."""
    outputs: dict[str, object] = {}

    def keeper(name: str) -> Callable[[nn.Module, tuple, object], None]:
        def keep(_: nn.Module, inputs: tuple, output: object) -> None:
            outputs[name] = output

        return keep

    handles = [module.register_forward_hook(keeper(name)) for name, module in modules.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _as_map(
    output: object, images: Float[Tensor, 'n ch h w'], name: str
) -> Float32[Tensor, 'n c h2 w2']:
    """(N, C, h, w) or (N, T, C) tokens, alone or last in a tuple, to a float32 map."""
    if isinstance(output, (tuple, list)) and output:
        output = output[-1]
    if isinstance(output, Tensor) and output.ndim == 4:
        return output.float()
    if isinstance(output, Tensor) and output.ndim == 3:
        height, width = _grid(output.shape[1], images.shape[-2] / images.shape[-1])
        if height:
            patches = output[:, -height * width :]  # (N, h*w, C)
            return patches.transpose(1, 2).unflatten(2, (height, width)).float()
    found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    raise ValueError(
        f'layer {name!r} gives {found} where a map (N, C, h, w), or tokens of a grid with up to '
        "five extra ones in front, is needed; for the end of a vision transformer set out_type='"
        "featmap'"
    )


def _grid(tokens: int, aspect: float) -> tuple[int, int]:
    """Patch grid (h, w) of so many tokens, up to five of them extra; (0, 0) if none fits.

    ``aspect``: height / width of the image; patches are square.
    """
    for extra in range(6):
        patches = tokens - extra
        height = round((patches * aspect) ** 0.5)
        if height > 0 and patches % height == 0:
            width = patches // height
            # Rounding a side to whole patches changes the proportions by less than a patch.
            if abs(height - width * aspect) < max(1.0, aspect):
                return height, width
    return 0, 0
