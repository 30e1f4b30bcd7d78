"""A pre-trained ViT inside a detector or a segmentor: maps of several blocks instead of one.

The four taps that a pyramid is built on, as in the fine-tuning of iBOT and of "Mind Your
Augmentation" (ICLR 2024): after blocks 3, 5, 7 and 11 of 12, without the final norm in
detection, with that same norm at every tap in segmentation. mmpretrain's ViT normalises the
last tap only.
"""

from collections.abc import Sequence
from typing import Any, get_args

from torch import Tensor

from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.models.backbones.position_embedding import Rule
from mmdssl.registry import MODELS


@MODELS.register_module()
class TapViT(DenseViT):
    """:class:`DenseViT` that returns the maps of some of its blocks.

    The position table is resized twice, as in the official fine-tuning of iBOT: on loading to the
    grid of ``img_size`` by ``load_rule``, and for every batch to the grid of its images, always by
    the rule of pre-training (``'factor'``). Both rules: :mod:`position_embedding`.

    Args:
        arch: As :class:`DenseViT`.
        img_size: (height, width) or side in pixels that the position table is kept for.
        out_indices: Blocks, counted from 0, after which a map is taken; rising.
        tap_norm: Normalise every tap by the final norm of the pre-trained network
            (segmentation). False: no tap, and there is no final norm (detection).
        load_rule: ``'size'``: as the official loaders of detection and segmentation; ``'factor'``:
            as a network that was never loaded for another grid, e.g. in the frozen probes of
            Leopart.
        with_mask_token: A mask token is of no use here; default False.
        init_cfg: ``dict(type='mmdssl.PretrainedBackbone', checkpoint=FILE)`` starts from a file of
            ``mmdssl convert export`` or from a checkpoint of a run. The file must hold the
            whole backbone; see :class:`mmdssl.models.utils.pretrained.PretrainedBackbone`, which
            mmengine's ``'Pretrained'`` stands for here as well.
        **kwargs: Further arguments of :class:`DenseViT`, like ``drop_path_rate``.

    Raises:
        ValueError: If a tap lies behind the last block, the taps do not rise, or ``load_rule`` is
            neither.
    """

    def __init__(
        self,
        *,
        arch: str | dict = 'deit-small',
        img_size: int | tuple[int, int] = 224,
        out_indices: Sequence[int] = (3, 5, 7, 11),
        tap_norm: bool = False,
        load_rule: Rule = 'size',
        with_mask_token: bool = False,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        taps = list(out_indices)
        _check_taps(taps, arch)
        if load_rule not in get_args(Rule):
            raise ValueError(f"TapViT: load_rule={load_rule!r} must be 'size' or 'factor'")
        super().__init__(
            arch=arch,
            img_size=img_size,
            with_mask_token=with_mask_token,
            out_indices=taps,
            out_type='featmap',
            final_norm=tap_norm,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.tap_norm = tap_norm
        self.load_rule = load_rule

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps of the taps.

        Args:
            images: (N, 3, H, W), float, normalised; H and W multiples of the patch size.

        Returns:
            One (N, C, H / patch, W / patch) a tap.
        """
        x, (height, width) = self.embed(images)
        taps = set(self.out_indices)
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in taps:
                tap = self.ln1(x) if self.tap_norm else x
                # (N, 1 + h*w, C) -> (N, C, h, w)
                maps.append(tap[:, 1:].transpose(1, 2).unflatten(2, (height, width)).contiguous())
        return tuple(maps)


def _check_taps(taps: list[int], arch: str | dict) -> None:
    zoo = DenseViT.arch_zoo
    if isinstance(arch, str) and arch.lower() not in zoo:
        raise ValueError(f'TapViT: no architecture {arch!r}; ViT-S/16 of the field is deit-small')
    depth = (zoo[arch.lower()] if isinstance(arch, str) else arch)['num_layers']
    if not taps or taps != sorted(set(taps)) or taps[0] < 0:
        raise ValueError(f'TapViT: out_indices {taps} must be rising block numbers, from 0')
    if taps[-1] >= depth:
        raise ValueError(
            f'TapViT: a tap after block {taps[-1]} is asked for, but the backbone has {depth} '
            f'blocks (0 to {depth - 1}); set out_indices to blocks it has'
        )
