"""Networks of timm, measured as they are."""

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmdssl.models.backbones.measured import DenseTokens, MeasuredBackbone, stride_of
from mmdssl.models.backbones.vit_checks import check_fit
from mmdssl.registry import MODELS

__all__ = ['TimmBackbone']


@MODELS.register_module()
class TimmBackbone(MeasuredBackbone):
    """A network of timm as a source of maps, by its ``forward_intermediates``.

    Vision transformers take images of any size that is a multiple of their patch; their position
    tables are resampled by timm's rule, whatever that of the weights is (DINOv2 as it was trained:
    import the file, and use :class:`DenseViT`).

    Args:
        name: Of timm's ``create_model``.
        pretrained: Load the published weights, which are fetched from the internet.
        checkpoint: A file of the weights instead, see :class:`MeasuredBackbone`.
        taps: Numbers of blocks or stages as timm counts them, rising. None: the last.
        **kwargs: Further arguments of the network.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If there is no such network, it gives no intermediate maps, or the file is of
            another one.
    """

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool = False,
        checkpoint: str | None = None,
        taps: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        if pretrained and checkpoint is not None:
            raise ValueError('TimmBackbone: give pretrained=True or checkpoint, not both')
        super().__init__(_network(name, pretrained, kwargs), name=name, checkpoint=checkpoint)
        self.with_weights |= pretrained
        self.taps = list(taps) if taps is not None else 1
        sides = getattr(getattr(self.wrapped, 'patch_embed', None), 'patch_size', None)
        if getattr(self.wrapped, 'num_prefix_tokens', None) and isinstance(sides, tuple):
            self.patch_size = sides[0]
        if not hasattr(self.wrapped, 'forward_intermediates'):
            raise ValueError(f'{self.title}: timm gives no intermediate maps of this network')

    def tokens(self, images: Tensor) -> DenseTokens:
        """See :class:`DenseTokens`."""
        net: Any = self.wrapped
        prefix = getattr(net, 'num_prefix_tokens', None) or 0
        options = dict(indices=self.taps, norm=True, output_fmt='NCHW', intermediates_only=True)
        accepted = inspect.signature(net.forward_intermediates).parameters
        if prefix and 'return_prefix_tokens' in accepted:
            options['return_prefix_tokens'] = True
        patch = self.patch_size
        if patch is not None:
            check_fit(tuple(images.shape[-2:]), patch, f'{self.title}: images of')
        found = net.forward_intermediates(images, **options)
        maps = tuple(one[0] if isinstance(one, (tuple, list)) else one for one in found)
        cells = maps[-1].shape[-2] * maps[-1].shape[-1]
        if patch is not None:
            wanted = images.shape[-2] // patch * (images.shape[-1] // patch)
            if cells != wanted:
                raise ValueError(
                    f'{self.title} gives {cells} patches where {wanted} of {patch} pixels are '
                    'in the image: it counts its tokens in another way'
                )
        cls = registers = None
        if isinstance(found[-1], (tuple, list)):
            extra = found[-1][1]  # (N, prefix, C)
            if extra.shape[1] != prefix:
                raise ValueError(
                    f'{self.title} gives {extra.shape[1]} tokens that are not patches, and says '
                    f'that it has {prefix}'
                )
            with_class = getattr(net, 'cls_token', None) is not None
            cls = extra[:, 0] if with_class else None
            rest = extra[:, int(with_class) :]
            registers = rest if rest.shape[1] else None
        norm = getattr(net, 'norm', None)
        normed = norm is not None and not isinstance(norm, nn.Identity)
        return DenseTokens(maps, cls, registers, prefix, stride_of(images, maps[-1]), normed)


def _network(name: str, pretrained: bool, settings: dict[str, Any]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise ImportError('TimmBackbone needs timm: pip install timm') from error
    if not timm.is_model(name):
        raise ValueError(f'TimmBackbone: timm {timm.__version__} has no network {name!r}')
    common = dict(pretrained=pretrained, num_classes=0, **settings)
    try:
        return timm.create_model(name, dynamic_img_size=True, **common)
    except TypeError:  # no vision transformer of one table
        return timm.create_model(name, **common)
