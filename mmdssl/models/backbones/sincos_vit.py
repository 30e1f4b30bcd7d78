"""A ViT with fixed sine-cosine positions that can run on a part of its patches.

As in MAE (CVPR 2022): the position table is a constant, and patches that are masked do not
enter the blocks at all. Initialised as there.
"""

from typing import Any

import torch
from torch import Tensor, nn

from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.models.backbones.position_embedding import sincos_position_embedding
from mmdssl.registry import MODELS


@MODELS.register_module()
class SinCosViT(DenseViT):
    """:class:`DenseViT` with a constant position table, token dropping and all hidden states.

    The table is a buffer ``pos_embed``: a checkpoint looks like that of any mmpretrain ViT,
    an optimizer never sees it.

    Args:
        with_mask_token: Dropped patches need no mask token; default False.
        **kwargs: Arguments of :class:`DenseViT`. The width is a multiple of 4.
    """

    def __init__(self, *, with_mask_token: bool = False, **kwargs: Any) -> None:
        super().__init__(with_mask_token=with_mask_token, **kwargs)
        if self.embed_dims % 4:
            raise ValueError(
                f'SinCosViT: embed_dims is {self.embed_dims}, two axes of sines and cosines need '
                'a multiple of 4'
            )
        if self.registers or self.rope is not None:
            raise ValueError('SinCosViT has no registers and no rope: use DenseViT for these')
        del self.pos_embed
        self.pos_embed: Tensor  # type: ignore[assignment]
        self.register_buffer('pos_embed', self._sincos())

    def init_weights(self) -> None:
        """Xavier for linears and the patch embedding, normal for CLS; the table as it is."""
        super().init_weights()
        if self.init_cfg:
            return
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        nn.init.xavier_uniform_(self.patch_embed.projection.weight.data.flatten(1))
        nn.init.normal_(self.cls_token, std=self.init_std)
        self.pos_embed.copy_(self._sincos())

    def hidden_states(
        self, images: Tensor, *, keep: Tensor | None = None, **embedding: Any
    ) -> list[Tensor]:
        """Output of every block, before the final norm.

        Args:
            images: (N, 3, H, W), float, normalised.
            keep: (N, K) int64, indices of the patches that enter, row-major in the grid;
                None: all.
            **embedding: ``background``, ... of :meth:`DenseViT.embed`.

        Returns:
            One (N, 1 + K, C) a block: CLS, then the patches in the order of ``keep``.
        """
        x, _ = self.embed(images, **embedding)
        if keep is not None:
            index = keep[..., None].expand(-1, -1, x.shape[-1])  # (N, K, C)
            x = torch.cat((x[:, :1], x[:, 1:].gather(1, index)), dim=1)
        states = []
        for layer in self.layers:
            x = layer(x)
            states.append(x)
        return states

    def _sincos(self) -> Tensor:
        height, width = self.patch_resolution
        return sincos_position_embedding((height, width), self.embed_dims)
