"""A pre-trained ViT inside a detector or a segmentor: maps of several blocks instead of one.

The four taps that a pyramid is built on, as in the fine-tuning of iBOT and of "Mind Your
Augmentation" (ICLR 2024): after blocks 3, 5, 7 and 11 of 12, without the final norm in
detection, with that same norm at every tap in segmentation. mmpretrain's ViT normalises the
last tap only.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.models.backbones.position_embedding import Rule, check_rule
from mmdssl.registry import MODELS


@MODELS.register_module()
class TapViT(DenseViT):
    """:class:`DenseViT` that returns the maps of some of its blocks.

    The position table is resized twice, as in the official fine-tuning of iBOT: on loading to the
    grid of ``img_size`` by ``load_rule``, and for every batch to the grid of its images, always by
    the rule of pre-training (``pos_rule``). The rules: :mod:`position_embedding`.

    With patches of 14 pixels the maps of a pyramid with rescales 4, 2, 1, 1/2 have strides 3.5, 7,
    14, 28: give them to mmdet as ``featmap_strides`` of the RoI extractor and ``strides`` of the
    anchor generator, and pad images to multiples of 14.

    Args:
        arch: As :class:`DenseViT`.
        img_size: (height, width) or side in pixels that the position table is kept for.
        out_indices: Blocks, counted from 0, after which a map is taken; rising.
        tap_norm: Normalise every tap by the final norm of the pre-trained network
            (segmentation). False: no tap, and there is no final norm (detection).
        load_rule: ``'size'``: as the official loaders of detection and segmentation; ``'factor'``:
            as a network that was never loaded for another grid, e.g. in the frozen probes of
            Leopart. None: ``pos_rule`` with registers, whose rule has only one form, else
            ``'size'``.
        with_mask_token: A mask token is of no use here; default False.
        init_cfg: ``dict(type='mmdssl.PretrainedBackbone', checkpoint=FILE)`` starts from a file of
            ``mmdssl convert export`` or from a checkpoint of a run. The file must hold the
            whole backbone; see :class:`mmdssl.models.utils.pretrained.PretrainedBackbone`, which
            mmengine's ``'Pretrained'`` stands for here as well.
        **kwargs: Further arguments of :class:`DenseViT`, like ``drop_path_rate``.

    Raises:
        ValueError: If a tap lies behind the last block, the taps do not rise, or there is no
            such ``load_rule``.
    """

    def __init__(
        self,
        *,
        arch: str | dict = 'deit-small',
        img_size: int | tuple[int, int] = 224,
        out_indices: Sequence[int] = (3, 5, 7, 11),
        tap_norm: bool = False,
        load_rule: Rule | None = None,
        with_mask_token: bool = False,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        taps = list(out_indices)
        _check_taps(taps, arch)
        if load_rule is not None:
            check_rule(load_rule, 'TapViT: load_rule')
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

    @property
    def table_rule(self) -> Rule:
        """See ``load_rule``."""
        return self.load_rule or (self.pos_rule if self.registers else 'size')

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps of the taps.

        Args:
            images: (N, 3, H, W), float, normalised; H and W multiples of the patch size.

        Returns:
            One (N, C, H / patch, W / patch) a tap.
        """
        embedded, grid = self.embed(images)
        taps = set(self.out_indices)
        maps = []
        for index, x in enumerate(self.run(embedded, grid)):
            if index in taps:
                patches = x[:, 1 + self.registers :]
                tap = self.ln1(patches) if self.tap_norm else patches
                # (N, h*w, C) -> (N, C, h, w)
                maps.append(tap.transpose(1, 2).unflatten(2, grid).contiguous())
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
