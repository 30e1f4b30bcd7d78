"""Vision transformers of transformers (Hugging Face), measured as they are."""

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmdssl.models.backbones.measured import DenseTokens, MeasuredBackbone, as_maps, stride_of
from mmdssl.models.backbones.vit_checks import check_fit
from mmdssl.registry import MODELS

__all__ = ['HFBackbone']


@MODELS.register_module()
class HFBackbone(MeasuredBackbone):
    """A vision transformer of transformers 4 as a source of maps.

    Args:
        name: A folder of ``save_pretrained``, or a name of the hub.
        pretrained: Load its weights; from the hub they are fetched from the internet.
        config: Instead of ``name``: entries of the configuration with ``model_type``, for a network
            of this form with ``checkpoint``, or untrained.
        checkpoint: A file of the weights, see :class:`MeasuredBackbone`.
        taps: Numbers of blocks, from 0, rising. None: the last, which is given as the network
            gives it (through its final norm, except CLIP); earlier ones have no norm.

    Raises:
        ImportError: If transformers is not installed, or is of version 5.
        ValueError: If settings do not go together, or the file is of another network.
    """

    heads = (*MeasuredBackbone.heads, 'embeddings.mask_token')

    def __init__(
        self,
        *,
        name: str | None = None,
        pretrained: bool = False,
        config: dict | None = None,
        checkpoint: str | None = None,
        taps: Sequence[int] | None = None,
    ) -> None:
        if (name is None) == (config is None):
            raise ValueError('HFBackbone: give name (a folder or a name of the hub) or config')
        if pretrained and (name is None or checkpoint is not None):
            raise ValueError('HFBackbone: pretrained=True goes with name, and without checkpoint')
        net: Any = _network(name, pretrained, config)
        net = getattr(net, 'vision_model', net)  # of CLIP and SigLIP, which have one for texts too
        super().__init__(net, name=name or str(net.config.model_type), checkpoint=checkpoint)
        depth = net.config.num_hidden_layers
        blocks = list(taps) if taps is not None else [depth - 1]
        if not blocks or blocks != sorted(set(blocks) & set(range(depth))):
            raise ValueError(f'{self.title}: taps {blocks} must be rising blocks, 0 to {depth - 1}')
        self.with_weights |= pretrained
        self.taps, self.depth = blocks, depth
        self.patch_size = net.config.patch_size
        kind = str(net.config.model_type)
        self.with_class = not kind.startswith('siglip')
        self.registers = getattr(net.config, 'num_register_tokens', 0)
        self.last_is_normed = not kind.startswith('clip')

    def tokens(self, images: Tensor) -> DenseTokens:
        """See :class:`DenseTokens`."""
        net: Any = self.wrapped
        patch = int(net.config.patch_size)
        check_fit(tuple(images.shape[-2:]), patch, f'{self.title}: images of')
        options: dict[str, Any] = dict(output_hidden_states=True)
        if 'interpolate_pos_encoding' in inspect.signature(net.forward).parameters:
            options['interpolate_pos_encoding'] = True
        out = net(images, **options)
        prefix = int(self.with_class) + self.registers
        grid = (images.shape[-2] // patch, images.shape[-1] // patch)
        last = self.depth - 1
        states = [
            out.last_hidden_state if tap == last else out.hidden_states[tap + 1]
            for tap in self.taps
        ]
        maps = tuple(as_maps(state, prefix, grid, self.title) for state in states)
        return DenseTokens(
            maps,
            states[-1][:, 0] if self.with_class else None,
            states[-1][:, int(self.with_class) : prefix] if self.registers else None,
            prefix,
            stride_of(images, maps[-1]),
            self.taps[-1] == last and self.last_is_normed,
        )


def _network(name: str | None, pretrained: bool, config: dict | None) -> nn.Module:
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            'HFBackbone needs transformers below 5: pip install "transformers<5"'
        ) from error
    if int(transformers.__version__.split('.')[0]) >= 5:
        raise ImportError(
            f'HFBackbone works with transformers below 5, and {transformers.__version__} is '
            'installed, beside which mmpretrain does not load: pip install "transformers<5"'
        )
    if pretrained:
        return transformers.AutoModel.from_pretrained(name)
    if config is None:
        settings = transformers.AutoConfig.from_pretrained(name)
    else:
        settings = transformers.AutoConfig.for_model(**config)
    return transformers.AutoModel.from_config(settings)
