"""mmpretrain's Vision Transformer plus what dense pre-training needs of it.

Added to ``mmpretrain.VisionTransformer``: a mask token (masked image modelling),
mixing of a background image at the patch embeddings (the de-coupled view of
"Mind Your Augmentation", ICLR 2024, Sec. 4.2), the position-table rules of
official code, the initialisation of DINO / iBOT, the attention weights of the
last block, and what DINOv2 and DINOv3 have besides: registers, a gated MLP,
rotary positions. Names stay mmpretrain's, so every consumer of its checkpoints
(mmdet, mmseg, layer decay) works unchanged.
"""

from collections.abc import Iterator
from itertools import repeat
from typing import Any, Literal

import torch
from mmengine.logging import MMLogger
from mmengine.model.weight_init import initialize
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn

from mmdssl.core.tokens import table_side
from mmdssl.models.backbones.blocks import dino_blocks
from mmdssl.models.backbones.position_embedding import Rule, resize_position_embedding
from mmdssl.models.backbones.rope import RotaryPositions
from mmdssl.models.backbones.vit_checks import check_fit, check_settings
from mmdssl.models.utils.pretrained import as_strict
from mmdssl.registry import MODELS

__all__ = ['DenseViT', 'TransformerEncoderLayer']


@MODELS.register_module()
class DenseViT(VisionTransformer):
    """Vision Transformer for dense self-supervised pre-training.

    What goes in and out has CLS first, then the patches, row-major: registers stand between them
    inside and leave only through :meth:`run`. DINOv2: ``layer_scale_init_value=1e-5``,
    ``patch_size=14``, ``img_size=518``, in some ``registers=4``, in the giant ``ffn='gated'``.
    DINOv3: ``rope=dict()``, ``registers=4``, ``layer_scale_init_value=1e-5``, in S+ and L+
    ``ffn='gated'``.

    Args:
        arch: mmpretrain architecture; ``'deit-small'`` is the field's ViT-S
            (mmpretrain's ``'small'`` is another net).
        img_size: Side of the square (or (height, width)) the position table is made for, pixels.
        patch_size: Side of a patch in pixels.
        drop_path_rate: Stochastic depth at the last block, rising linearly from 0.
        with_mask_token: Create the learned token that replaces masked patches.
        out_type: As mmpretrain; default ``'featmap'``: maps (N, C, h, w).
        norm_cfg: Layer norm; the official models use eps 1e-6, DINOv3 (``rope``) 1e-5.
        init_std: Standard deviation of the truncated normal initialisation.
        registers: Learned tokens R without a place in the image.
        pos_rule: How the table is resampled for images of another grid, see
            :mod:`position_embedding`. None: what the weights that are loaded say, and where they
            say nothing ``'antialias'`` with registers, else ``'factor'``.
        ffn: ``'gated'``: see :func:`mmdssl.models.backbones.blocks.gated_mlp`.
        rope: Settings of :class:`mmdssl.models.backbones.rope.RotaryPositions`, which then stand
            in place of the position table; None for a table.
        key_bias: The keys have a bias; None: without ``rope``.
        local_cls_norm: In training, CLS and registers of local crops have a final norm of their own
            (DINOv3's 7B and its ViT-L for satellite images).
        **kwargs: Further arguments of ``mmpretrain.VisionTransformer``, like
            ``layer_scale_init_value``: start of the factors of both branches of a block, 0 for
            none.

    Raises:
        ValueError: For settings that do not go together, and an image that is no whole number of
            patches.
    """

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
        registers: int = 0,
        pos_rule: Rule | None = None,
        ffn: Literal['mlp', 'gated'] = 'mlp',
        rope: dict | None = None,
        key_bias: bool | None = None,
        local_cls_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        norm_cfg = norm_cfg or dict(type='LN', eps=1e-6 if rope is None else 1e-5)
        check_settings(registers, pos_rule, ffn, rope is not None, key_bias)
        sides = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        check_fit(sides, patch_size, 'img_size')
        super().__init__(
            arch=arch,
            img_size=img_size,
            patch_size=patch_size,
            drop_path_rate=drop_path_rate,
            out_type=out_type,
            norm_cfg=norm_cfg,
            **kwargs,
        )
        if self.cls_token is None:
            raise ValueError('DenseViT needs with_cls_token=True: its hosts distil the CLS token')
        self.patch_size = patch_size
        self.init_std = init_std
        self.mask_token: nn.Parameter | None = (
            nn.Parameter(torch.zeros(1, 1, self.embed_dims)) if with_mask_token else None
        )
        self.registers = registers
        self.register_tokens: nn.Parameter | None = (
            nn.Parameter(torch.zeros(1, registers, self.embed_dims)) if registers else None
        )
        self.rope: RotaryPositions | None = None
        #: Given in the config: weights do not change it.
        self.own_pos_rule = pos_rule
        self.pos_rule: Rule = pos_rule or ('antialias' if registers else 'factor')
        if rope is not None or ffn == 'gated':
            self.layers = dino_blocks(
                self.arch_settings,
                drop_path_rate=drop_path_rate,
                norm_cfg=norm_cfg,
                gated=ffn == 'gated',
                rotary=rope is not None,
                key_bias=bool(key_bias),
                **kwargs,
            )
        if rope is not None:
            heads = self.arch_settings['num_heads']
            self.rope = RotaryPositions(head_dims=self.embed_dims // heads, **rope)
            del self.pos_embed
            self.pos_embed: nn.Parameter | None = None
        self.local_cls_norm: nn.Module | None = (
            build_norm_layer(norm_cfg, self.embed_dims) if local_cls_norm else None
        )
        if self.frozen_stages > 0:
            self._freeze_stages()

    def _freeze_stages(self) -> None:
        """As mmpretrain, and the registers with the class token."""
        super()._freeze_stages()
        tokens = getattr(self, 'register_tokens', None)  # not yet there in mmpretrain's __init__
        if tokens is not None:
            tokens.requires_grad = False

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
        for learned in (self.pos_embed, self.cls_token, self.register_tokens):
            if learned is not None:
                nn.init.trunc_normal_(learned, std=self.init_std)
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
            (N, 1 + R + h*w, C) tokens with CLS, registers and position embedding, and (h, w).

        Raises:
            ValueError: If the images are no whole number of patches, or a mask does not fit.
        """
        check_fit(tuple(images.shape[-2:]), self.patch_size, 'images of')
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
        if self.pos_embed is not None:
            x = x + resize_position_embedding(
                self.pos_embed, self.patch_resolution, grid, rule=self.pos_rule
            )
        if self.register_tokens is not None:
            registers = self.register_tokens.expand(len(x), -1, -1).to(x.dtype)
            x = torch.cat((x[:, :1], registers, x[:, 1:]), dim=1)
        return self.pre_norm(self.drop_after_pos(x)), grid

    @staticmethod
    def _flat(mask: Tensor, grid: tuple[int, int]) -> Tensor:
        """(N, h, w) bool -> (N, h*w, 1); checks that it lies on the patch grid."""
        if tuple(mask.shape[1:]) != tuple(grid):
            raise ValueError(
                f'mask of {tuple(mask.shape[1:])} cells given for a patch grid of {tuple(grid)}: '
                'set mask_size of the mask transform to image size / patch size'
            )
        return mask.flatten(1).bool().unsqueeze(-1)

    def forward_tokens(self, images: Tensor, *, local: bool = False, **embedding: Any) -> Tensor:
        """CLS and patch tokens after the final norm.

        Args:
            images: (N, 3, H, W), float, normalised.
            local: See :meth:`normed`.
            **embedding: ``mask``, ``background``, ... of :meth:`embed`.

        Returns:
            (N, 1 + h*w, C); token 0 is CLS, patches are row-major.
        """
        return self.forward_embedded(*self.embed(images, **embedding), local=local)

    def forward_embedded(
        self, tokens: Tensor, grid: tuple[int, int], *, local: bool = False
    ) -> Tensor:
        """From what :meth:`embed` gives to CLS and patches (N, 1 + h*w, C) after the final norm."""
        last = tokens
        for last in self.run(tokens, grid):  # noqa: B007 - the last is wanted
            pass
        return self.without_registers(self.normed(last, local=local))

    def normed(self, tokens: Tensor, *, local: bool = False) -> Tensor:
        """The final norm.

        Args:
            tokens: (N, 1 + R + h*w, C) after a block.
            local: They are of local crops, whose CLS and registers have, in training, a norm of
                their own where there is one (``local_cls_norm``).
        """
        if not self.final_norm:
            return tokens
        if not local or self.local_cls_norm is None or not self.training:
            return self.ln1(tokens)
        first = 1 + self.registers
        return torch.cat((self.local_cls_norm(tokens[:, :first]), self.ln1(tokens[:, first:])), 1)

    def run(self, tokens: Tensor, grid: tuple[int, int]) -> Iterator[Tensor]:
        """All tokens after each block, before any norm.

        Args:
            tokens: (N, 1 + R + h*w, C) of :meth:`embed`.
            grid: (h, w).

        Yields:
            (N, 1 + R + h*w, C) a block: CLS, registers, patches.
        """
        for layer, rotation in zip(self.layers, self._rotations(tokens, grid), strict=False):
            tokens = layer(tokens, *rotation)
            yield tokens

    def _rotations(self, tokens: Tensor, grid: tuple[int, int]) -> Iterator[tuple[Tensor, ...]]:
        """What each block is given beside the tokens: nothing, or tables of :mod:`rope`."""
        if self.rope is None:
            return repeat(())
        return self.rope.rotations(grid, len(self.layers), tokens)

    def without_registers(self, tokens: Tensor) -> Tensor:
        """(N, 1 + R + h*w, C) -> (N, 1 + h*w, C)."""
        if not self.registers:
            return tokens
        return torch.cat((tokens[:, :1], tokens[:, 1 + self.registers :]), dim=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the blocks in ``out_indices``, in the form ``out_type`` names."""
        embedded, grid = self.embed(images)
        outputs = []
        for index, x in enumerate(self.run(embedded, grid)):
            if index in self.out_indices:
                last = index == len(self.layers) - 1 and self.final_norm
                outputs.append(self._format_output(self.ln1(x) if last else x, grid))
        return tuple(outputs)

    def _format_output(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        return super()._format_output(self.without_registers(x), hw)

    def last_attention(self, images: Tensor) -> Tensor:
        """Attention weights of the last block.

        Args:
            images: (N, 3, H, W), float, normalised.

        Returns:
            (N, heads, T, T), rows sum to 1, T = 1 + R + h*w: CLS, registers, patches.
        """
        x, grid = self.embed(images)
        rotations = list(zip(self.layers, self._rotations(x, grid), strict=False))
        for layer, rotation in rotations[:-1]:
            x = layer(x, *rotation)
        last, rotation = rotations[-1]
        attention = last.attn
        x = last.ln1(x)
        if rotation:
            query, key, _ = attention.heads(x, *rotation)
        else:
            # (N, T, 3*C) -> (3, N, heads, T, C/heads)
            qkv = attention.qkv(x).unflatten(-1, (3, attention.num_heads, attention.head_dims))
            query, key, _ = qkv.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) * attention.head_dims**-0.5
        return scores.softmax(dim=-1)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """As mmpretrain; mask token and registers are at the input (0), like the class token."""
        if param_name in (f'{prefix}mask_token', f'{prefix}register_tokens'):
            return 0, self.num_layers + 2
        return super().get_layer_depth(param_name, prefix)

    @property
    def table_rule(self) -> Rule:
        """How a table of another size is brought to the grid of ``img_size`` on loading."""
        return self.pos_rule

    def _prepare_pos_embed(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        """On loading: resize a square table of another size by the rule of this use.

        Files of libraries hold no periods of rotary positions: those that are here stay.
        """
        rope = getattr(self, 'rope', None)
        if rope is not None and f'{prefix}cls_token' in state_dict:
            state_dict.setdefault(f'{prefix}rope.periods', rope.periods)
        name = prefix + 'pos_embed'
        if self.pos_embed is None or name not in state_dict:
            return
        if state_dict[name].shape == self.pos_embed.shape:
            return
        table = state_dict[name]
        side = table_side(table.shape[1], self.num_extra_tokens)
        state_dict[name] = resize_position_embedding(
            table,
            (side, side),
            tuple(self.patch_resolution),
            extra_tokens=self.num_extra_tokens,
            rule=self.table_rule,
        )
        MMLogger.get_current_instance().info(
            f'{name}: position table resized from {tuple(table.shape)} to '
            f'{tuple(state_dict[name].shape)} (rule {self.table_rule!r})'
        )
