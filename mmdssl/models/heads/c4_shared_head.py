"""The last stage of a ResNet as the shared head of a C4 detector, with a norm behind it.

The MoCo protocol (detectron2's ``Res5ROIHeadsExtraNorm``): what was pre-trained without
normalised output needs a norm before the box and mask heads. mmpretrain's
``ResLayerExtraNorm`` is the same for nets of full width; here ``base_channels`` may differ,
and the stage is initialised from the file the backbone comes from.
"""

from typing import Any

from jaxtyping import Float
from mmengine.model import BaseModule
from mmengine.model.weight_init import initialize
from mmpretrain.models.backbones import ResNet
from mmpretrain.models.backbones.resnet import ResLayer, get_expansion
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdssl.models.utils.pretrained import as_strict
from mmdssl.registry import MODELS


@MODELS.register_module()
class C4SharedHead(BaseModule):
    """``layer4`` of a ResNet and, unless switched off, a norm.

    Args:
        depth: Of the ResNet, e.g. 50.
        base_channels: Width of its first stage; 64 is full width.
        extra_norm: A norm behind the stage.
        norm_cfg: All norms; default SyncBN, trained.
        norm_eval: Keep the running statistics of all norms as they are.
        init_cfg: ``dict(type='mmdssl.PretrainedBackbone', checkpoint=FILE)`` takes ``layer4``
            from a file of ``mmdssl convert export --to mmdet`` (with or without ``--c4``) or
            from a checkpoint of a run; the extra norm starts anew. A file that does not hold all of
            it is refused. None: random.

    Raises:
        ValueError: If there is no ResNet of that depth.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        base_channels: int = 64,
        extra_norm: bool = True,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        if depth not in ResNet.arch_settings:
            raise ValueError(
                f'C4SharedHead: no ResNet of depth {depth}, choose from '
                f'{sorted(ResNet.arch_settings)}'
            )
        random = [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ]
        super().__init__(init_cfg=random)
        self.pretrained = as_strict(init_cfg) if init_cfg else None
        norm_cfg = norm_cfg or dict(type='SyncBN', requires_grad=True)
        block, blocks = ResNet.arch_settings[depth]
        channels = base_channels * get_expansion(block)
        self.out_channels = channels * 8
        self.layer4 = ResLayer(
            block=block,
            num_blocks=blocks[3],
            in_channels=channels * 4,
            out_channels=self.out_channels,
            stride=2,
            norm_cfg=norm_cfg,
        )
        self.norm: nn.Module = (
            build_norm_layer(norm_cfg, self.out_channels) if extra_norm else nn.Identity()
        )
        self.norm_eval = norm_eval

    def init_weights(self) -> None:
        """Random values, then ``layer4`` from the file."""
        super().init_weights()
        if self.pretrained:
            initialize(self, {'fresh': ('norm',), **self.pretrained})

    def forward(self, regions: Float[Tensor, 'k c h w']) -> Float[Tensor, 'k c2 h2 w2']:
        """Features of regions.

        Args:
            regions: (K, C, h, w), what RoIAlign cuts out of the map of ``layer3``.

        Returns:
            (K, 2C, h / 2, w / 2).
        """
        return self.norm(self.layer4(regions))

    def train(self, mode: bool = True) -> Any:
        """Training mode, in which ``norm_eval`` leaves the norms out."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
