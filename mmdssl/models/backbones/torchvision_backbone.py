"""Networks of torchvision, measured as they are."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.models import VisionTransformer, get_model

from mmdssl.models.backbones.measured import (
    DenseTokens,
    MeasuredBackbone,
    as_maps,
    listen,
    stride_of,
)
from mmdssl.models.backbones.position_embedding import resize_position_embedding
from mmdssl.models.backbones.vit_checks import check_fit
from mmdssl.registry import MODELS

__all__ = ['TorchvisionBackbone']

# Where the last map is: residual networks, Swin (channels last before), the others.
_LAST = ('layer4', 'permute', 'trunk_output', 'features')


@MODELS.register_module()
class TorchvisionBackbone(MeasuredBackbone):
    """A classifier of torchvision, or its vision transformer, as a source of maps.

    The position table of the ViT is resampled for other image sizes by its target size; torchvision
    itself refuses them.

    Args:
        name: Of torchvision's ``get_model``, e.g. ``'resnet50'``, ``'vit_b_16'``.
        pretrained: Load torchvision's default weights, which are fetched from the internet.
        checkpoint: A file of the weights instead, see :class:`MeasuredBackbone`.
        taps: Names of modules whose maps are given, from shallow to deep; of a ViT numbers of
            blocks, from 0, of which the last goes through the final norm. None: the last map.
        **kwargs: Further arguments of the network, like ``width_mult``.

    Raises:
        ValueError: If there is no such network or module, or the file is of another one.
    """

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool = False,
        checkpoint: str | None = None,
        taps: Sequence[str] | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        if pretrained and checkpoint is not None:
            raise ValueError('TorchvisionBackbone: give pretrained=True or checkpoint, not both')
        try:
            net = get_model(name, weights='DEFAULT' if pretrained else None, **kwargs)
        except ValueError as error:
            raise ValueError(f'TorchvisionBackbone: torchvision has no network {name!r}') from error
        super().__init__(net, name=name, checkpoint=checkpoint)
        self.with_weights |= pretrained
        if isinstance(net, VisionTransformer):
            depth = len(net.encoder.layers)
            blocks = [int(tap) for tap in taps] if taps is not None else [depth - 1]
            if not blocks or blocks != sorted(set(blocks) & set(range(depth))):
                raise ValueError(
                    f'{self.title}: taps {blocks} must be rising blocks, 0 to {depth - 1}'
                )
            self.taps: list[Any] = blocks
            self.patch_size = net.patch_size
            return
        last = next((part for part in _LAST if hasattr(net, part)), None)
        if taps is None and last is None:
            raise ValueError(f'{self.title}: where its last map is, is not known: give taps')
        self.taps = list(taps) if taps is not None else [last]

    def tokens(self, images: Tensor) -> DenseTokens:
        """See :class:`DenseTokens`."""
        if isinstance(self.wrapped, VisionTransformer):
            return self._of_vit(self.wrapped, images)
        maps = listen(self.wrapped, self.taps, images, self.title)
        normed = self.taps[-1] == 'permute'
        return DenseTokens(tuple(maps), None, None, 0, stride_of(images, maps[-1]), normed)

    def _of_vit(self, net: VisionTransformer, images: Tensor) -> DenseTokens:
        check_fit(tuple(images.shape[-2:]), net.patch_size, f'{self.title}: images of')
        cells = net.conv_proj(images)  # (N, C, h, w)
        grid = (cells.shape[-2], cells.shape[-1])
        side = net.image_size // net.patch_size
        table = resize_position_embedding(
            net.encoder.pos_embedding, (side, side), grid, rule='size'
        )
        x = torch.cat((net.class_token.expand(len(images), -1, -1), cells.flatten(2).mT), dim=1)
        x = net.encoder.dropout(x + table)
        depth, maps = len(net.encoder.layers), []
        for index, block in enumerate(net.encoder.layers):
            x = block(x)
            if index in self.taps:
                out = net.encoder.ln(x) if index == depth - 1 else x
                maps.append(as_maps(out, 1, grid, self.title))
        normed = self.taps[-1] == depth - 1
        stride = stride_of(images, cells)
        return DenseTokens(tuple(maps), out[:, 0], None, 1, stride, normed)
