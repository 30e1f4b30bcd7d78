"""mmpretrain's Vision Transformer plus what dense pre-training needs of it.

Added to ``mmpretrain.VisionTransformer``: a mask token (masked image modelling),
mixing of a background image at the patch embeddings (the de-coupled view of
"Mind Your Augmentation", ICLR 2024, Sec. 4.2), the position-table rule of the
official DINO / iBOT code, their initialisation, and the attention weights of the
last block. Layers, norms and attention stay mmpretrain's, so every consumer of
its checkpoints (mmdet, mmseg, layer decay) works unchanged.
"""

from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model.weight_init import initialize
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor, nn

from mmdssl.core.tokens import table_side
from mmdssl.models.backbones.position_embedding import Rule, resize_position_embedding
from mmdssl.models.utils.pretrained import as_strict
from mmdssl.registry import MODELS

__all__ = ['DenseViT', 'TransformerEncoderLayer']


@MODELS.register_module()
class DenseViT(VisionTransformer):
    """Vision Transformer for dense self-supervised pre-training.

    Args:
        arch: mmpretrain architecture; ``'deit-small'`` is the field's ViT-S
            (mmpretrain's ``'small'`` is another net).
        img_size: Side of the square (or (height, width)) the position table is made for, pixels.
        patch_size: Side of a patch in pixels.
        drop_path_rate: Stochastic depth at the last block, rising linearly from 0.
        with_mask_token: Create the learned token that replaces masked patches.
        out_type: As mmpretrain; default ``'featmap'``: maps (N, C, h, w).
        norm_cfg: Layer norm; the official models use eps 1e-6.
        init_std: Standard deviation of the truncated normal initialisation.
        **kwargs: Further arguments of ``mmpretrain.VisionTransformer``.
    """

    #: How a table of another grid is resized on loading, see :mod:`position_embedding`.
    load_rule: Rule = 'factor'

    def __init__(
        self,
        *,
        arch: str | dict = 'deit-small',
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        drop_path_rate: float = 0.0,
        with_mask_token: bool = True,
        out_type: str = 'featmap',
        norm_cfg: dict | None = None,
        init_std: float = 0.02,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            arch=arch,
            img_size=img_size,
            patch_size=patch_size,
            drop_path_rate=drop_path_rate,
            out_type=out_type,
            norm_cfg=norm_cfg or dict(type='LN', eps=1e-6),
            **kwargs,
        )
        if self.cls_token is None:
            raise ValueError('DenseViT needs with_cls_token=True: its hosts distil the CLS token')
        self.patch_size = patch_size
        self.init_std = init_std
        self.mask_token: nn.Parameter | None = (
            nn.Parameter(torch.zeros(1, 1, self.embed_dims)) if with_mask_token else None
        )

    def init_weights(self) -> None:
        """Truncated normal for linears, position table and CLS; mask token zero (iBOT).

        Then what ``init_cfg`` asks for: a pre-trained file fills the whole backbone or is refused.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=self.init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                module.reset_parameters()
        nn.init.trunc_normal_(self.pos_embed, std=self.init_std)
        nn.init.trunc_normal_(self.cls_token, std=self.init_std)
        if self.mask_token is not None:
            nn.init.zeros_(self.mask_token)
        if self.init_cfg:
            initialize(self, as_strict(self.init_cfg))

    def grid_size(self, images: Tensor) -> tuple[int, int]:
        """Patch grid (h, w) of images (N, 3, H, W)."""
        return images.shape[-2] // self.patch_size, images.shape[-1] // self.patch_size

    def embed(
        self,
        images: Tensor,
        *,
        mask: Tensor | None = None,
        background: Tensor | None = None,
        background_mask: Tensor | None = None,
        detach_background: bool = True,
    ) -> tuple[Tensor, tuple[int, int]]:
        """Tokens before the first block.

        Args:
            images: (N, 3, H, W), float, normalised; H and W multiples of the patch size.
            mask: (N, h, w) bool, True where the mask token replaces the patch.
            background: (N, 3, H, W) images that fill the background cells.
            background_mask: (N, h, w) bool, True where the patch embedding is
                taken from ``background``. Needed with ``background``.
            detach_background: No gradient reaches the patch embedding through
                background cells (official iBOT-D).

        Returns:
            (N, 1 + h*w, C) tokens with CLS and position embedding, and (h, w).
        """
        x, grid = self.patch_embed(images)  # (N, h*w, C)
        if background is not None:
            if background_mask is None:
                raise ValueError('background images need a background_mask (N, h, w)')
            with torch.set_grad_enabled(torch.is_grad_enabled() and not detach_background):
                other = self.patch_embed(background)[0]
            x = torch.where(self._flat(background_mask, grid), other, x)
        if mask is not None:
            if self.mask_token is None:
                raise ValueError('a mask was given but the backbone has with_mask_token=False')
            x = torch.where(self._flat(mask, grid), self.mask_token.to(x.dtype), x)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1).to(x.dtype), x), dim=1)
        position = resize_position_embedding(self.pos_embed, self.patch_resolution, grid)
        return self.pre_norm(self.drop_after_pos(x + position)), grid

    @staticmethod
    def _flat(mask: Tensor, grid: tuple[int, int]) -> Tensor:
        """(N, h, w) bool -> (N, h*w, 1); checks that it lies on the patch grid."""
        if tuple(mask.shape[1:]) != tuple(grid):
            raise ValueError(
                f'mask of {tuple(mask.shape[1:])} cells given for a patch grid of {tuple(grid)}: '
                'set mask_size of the mask transform to image size / patch size'
            )
        return mask.flatten(1).bool().unsqueeze(-1)

    def forward_tokens(self, images: Tensor, **embedding: Any) -> Tensor:
        """CLS and patch tokens after the final norm.

        Args:
            images: (N, 3, H, W), float, normalised.
            **embedding: ``mask``, ``background``, ... of :meth:`embed`.

        Returns:
            (N, 1 + h*w, C); token 0 is CLS, patches are row-major.
        """
        return self.forward_embedded(self.embed(images, **embedding)[0])

    def forward_embedded(self, tokens: Tensor) -> Tensor:
        """From the tokens of :meth:`embed` (N, 1 + h*w, C) to those after the final norm."""
        for layer in self.layers:
            tokens = layer(tokens)
        return self.ln1(tokens) if self.final_norm else tokens

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the blocks in ``out_indices``, in the form ``out_type`` names."""
        x, grid = self.embed(images)
        outputs = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index == len(self.layers) - 1 and self.final_norm:
                x = self.ln1(x)
            if index in self.out_indices:
                outputs.append(self._format_output(x, grid))
        return tuple(outputs)

    def last_attention(self, images: Tensor) -> Tensor:
        """Attention weights of the last block.

        Args:
            images: (N, 3, H, W), float, normalised.

        Returns:
            (N, heads, T, T), rows sum to 1, T = 1 + h*w, token 0 is CLS.
        """
        x, _ = self.embed(images)
        for layer in self.layers[:-1]:
            x = layer(x)
        last = self.layers[-1]
        attention = last.attn
        x = last.ln1(x)
        # (N, T, 3*C) -> (3, N, heads, T, C/heads)
        qkv = attention.qkv(x).unflatten(-1, (3, attention.num_heads, attention.head_dims))
        query, key, _ = qkv.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) * attention.head_dims**-0.5
        return scores.softmax(dim=-1)

    def _prepare_pos_embed(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        """On loading: resize a square table of another size by the rule of this use."""
        name = prefix + 'pos_embed'
        if name not in state_dict or state_dict[name].shape == self.pos_embed.shape:
            return
        table = state_dict[name]
        side = table_side(table.shape[1], self.num_extra_tokens)
        state_dict[name] = resize_position_embedding(
            table,
            (side, side),
            tuple(self.patch_resolution),
            extra_tokens=self.num_extra_tokens,
            rule=self.load_rule,
        )
        MMLogger.get_current_instance().info(
            f'{name}: position table resized from {tuple(table.shape)} to '
            f'{tuple(state_dict[name].shape)} (rule {self.load_rule!r})'
        )
