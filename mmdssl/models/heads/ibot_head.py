"""The projection head of iBOT: MLP, L2 normalisation, weight-normed prototypes."""

from jaxtyping import Float
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from mmdssl.models.utils.precision import unit
from mmdssl.registry import MODELS


def _prototypes(in_channels: int, out_channels: int, *, frozen_norm: bool) -> nn.Linear:
    """A bias-free linear layer whose rows are ``g * v / |v|``, g initialised to 1."""
    layer = parametrizations.weight_norm(nn.Linear(in_channels, out_channels, bias=False))
    layer.parametrizations.weight.original0.data.fill_(1.0)
    layer.parametrizations.weight.original0.requires_grad = not frozen_norm
    return layer


@MODELS.register_module()
class IBOTHead(BaseModule):
    """Maps tokens to prototype logits.

    ``num_layers`` linear layers with GELU between them, L2 normalisation, then
    a weight-normed linear layer (iBOT, ICLR 2022; settings of the COCO runs in
    "Mind Your Augmentation"). The two steps are separate methods, because
    training needs the cheap first part on all teacher tokens and the
    ``out_channels``-wide second part on few (see :class:`IBOT`).

    Args:
        in_channels: Token width.
        hidden_channels: Width of the hidden layers.
        bottleneck_channels: Width after the MLP.
        out_channels: Prototypes of the CLS token (and of patches if shared).
        patch_out_channels: Prototypes of patch tokens with ``shared_head=False``;
            default ``out_channels``.
        num_layers: Linear layers before the normalisation, >= 1.
        shared_head: CLS and patch tokens use the same prototypes.
        norm_last_layer: Keep g fixed at 1 (False in the official COCO runs: g is trained).
        init_std: Truncated normal initialisation of the MLP.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        hidden_channels: int = 2048,
        bottleneck_channels: int = 256,
        out_channels: int = 8192,
        patch_out_channels: int | None = None,
        num_layers: int = 3,
        shared_head: bool = True,
        norm_last_layer: bool = False,
        init_std: float = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_layers < 1:
            raise ValueError(f'IBOTHead: num_layers is {num_layers}, give at least 1')
        if shared_head and patch_out_channels not in (None, out_channels):
            raise ValueError(
                f'IBOTHead: a shared head has one width, but out_channels={out_channels} and '
                f'patch_out_channels={patch_out_channels}; set shared_head=False for two'
            )
        widths = [in_channels, *[hidden_channels] * (num_layers - 1), bottleneck_channels]
        layers: list[nn.Module] = []
        for index in range(num_layers):
            layers += [nn.Linear(widths[index], widths[index + 1]), nn.GELU()]
        self.mlp = nn.Sequential(*layers[:-1])  # no activation after the last
        self.init_std = init_std
        self.shared_head = shared_head
        self.last_layer = _prototypes(
            bottleneck_channels, out_channels, frozen_norm=norm_last_layer
        )
        self.last_layer_patch: nn.Linear | None = None
        if not shared_head:
            self.last_layer_patch = _prototypes(
                bottleneck_channels, patch_out_channels or out_channels, frozen_norm=norm_last_layer
            )
        self.out_channels = out_channels
        self.patch_out_channels = patch_out_channels or out_channels

    def init_weights(self) -> None:
        """Truncated normal MLP, zero biases; prototypes keep the framework's directions."""
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=self.init_std)
                nn.init.zeros_(module.bias)

    def project(self, tokens: Float[Tensor, '*n c']) -> Float[Tensor, '*n d']:
        """Tokens (..., in_channels) -> unit vectors (..., bottleneck_channels)."""
        return unit(self.mlp(tokens))

    def cls_logits(self, projected: Float[Tensor, '*n d']) -> Float[Tensor, '*n k']:
        """Unit vectors (..., bottleneck_channels) -> CLS logits (..., out_channels)."""
        return self.last_layer(projected)

    def patch_logits(self, projected: Float[Tensor, '*n d']) -> Float[Tensor, '*n k']:
        """Unit vectors (..., bottleneck_channels) -> patch logits (..., patch_out_channels)."""
        layer = self.last_layer if self.last_layer_patch is None else self.last_layer_patch
        return layer(projected)

    def forward(
        self, tokens: Float[Tensor, 'n t c']
    ) -> tuple[Float[Tensor, 'n k'], Float[Tensor, 'n t-1 k2']]:
        """Tokens (N, 1 + L, C), CLS first -> CLS logits (N, K), patch logits (N, L, K')."""
        projected = self.project(tokens)
        return self.cls_logits(projected[:, 0]), self.patch_logits(projected[:, 1:])
