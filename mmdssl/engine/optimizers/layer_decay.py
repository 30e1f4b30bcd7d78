"""Layer-wise decay of the learning rate for a ViT inside a detector or a segmentor.

``lr * rate ** (blocks + 1 - id)``: id 0 for patch embedding, tokens and position table,
i + 1 for block i, blocks + 1 for everything else: final norm, necks, heads (BEiT, ICLR 2022;
iBOT and "Mind Your Augmentation", ICLR 2024, downstream code). mmdet's constructor knows
ConvNeXt only, mmseg's a few classes by name, mmpretrain's a model that is itself the ViT; this
one asks the model's backbone.
"""

from typing import Any

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmdssl.engine.unwrap import unwrap_model
from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

__all__ = ['LayerDecayOptimWrapperConstructor']

_BACKBONE = 'backbone.'
_POSITION_AND_TOKENS = ('cls_token', 'pos_embed', 'mask_token', 'register_tokens')
_SETTINGS = frozenset({'decay_rate', 'decay_pos_cls'})


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor:
    """Builds an optimizer with one or two groups a layer: with and without weight decay.

    Weight decay is 0 for biases and everything one-dimensional. Parameters with
    ``requires_grad=False`` are left out.

    Args:
        optim_wrapper_cfg: Config of the wrapper with its ``optimizer``, e.g.
            ``dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4,
            weight_decay=0.05))``. The optimizer must name ``lr``.
        paramwise_cfg: Two settings.
            ``decay_rate``: factor from a layer to the one before it, 0 < rate <= 1.
            ``decay_pos_cls`` (default True): tokens and position table decay, as in
            the official downstream code, whose test of their names never matches; False
            exempts them from weight decay.

    Raises:
        ValueError: For unknown or impossible settings, and for a model whose backbone does
            not know the depth of its parameters.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer', {}))
        settings = dict(paramwise_cfg or {})
        unknown = set(settings) - _SETTINGS
        if unknown:
            raise ValueError(
                f'paramwise_cfg: {sorted(unknown)} unknown to LayerDecayOptimWrapperConstructor, '
                f'which takes {sorted(_SETTINGS)}'
            )
        if 'lr' not in self.optimizer_cfg:
            raise ValueError(
                "optim_wrapper has no optimizer with an lr; add optimizer=dict(type='AdamW', "
                'lr=..., weight_decay=...)'
            )
        self.rate = settings.get('decay_rate')
        if self.rate is None or not 0 < self.rate <= 1:
            raise ValueError(
                f'paramwise_cfg: decay_rate is {self.rate}; give the factor per layer, above 0 '
                'and at most 1, e.g. 0.8'
            )
        self.decay_pos_cls = settings.get('decay_pos_cls', True)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper for ``model``."""
        groups = self.param_groups(unwrap_model(model))
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': groups})
        wrapper_cfg = {'type': 'OptimWrapper', **self.wrapper_cfg}
        return OPTIM_WRAPPERS.build({**wrapper_cfg, 'optimizer': optimizer})

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups, from the input to the heads.

        Args:
            model: A model without its wrapper, whose ``backbone`` has mmpretrain's
                ``get_layer_depth``.

        Returns:
            Groups for a torch optimizer with ``lr``, ``layer_id``, ``lr_scale`` and, where
            there is none, ``weight_decay``.
        """
        backbone: Any = getattr(model, 'backbone', None)
        if not hasattr(backbone, 'get_layer_depth'):
            raise ValueError(
                f'{type(model).__name__}: layer decay needs a backbone that knows the depth of '
                f'its parameters, and {type(backbone).__name__} does not; use TapViT, or leave '
                'the constructor out of optim_wrapper'
            )
        groups: dict[tuple[int, bool], dict[str, Any]] = {}
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            layer, depths = backbone.get_layer_depth(name, _BACKBONE)
            exempt = self._exempt(name, parameter.ndim)
            if (layer, exempt) not in groups:
                scale = self.rate ** (depths - 1 - layer)
                lr = self.optimizer_cfg['lr'] * scale
                group = dict(params=[], lr=lr, layer_id=layer, lr_scale=scale)
                groups[layer, exempt] = group | (dict(weight_decay=0.0) if exempt else {})
            groups[layer, exempt]['params'].append(parameter)
        if not groups:
            raise ValueError(f'{type(model).__name__} has no trainable parameter')
        ordered = [group for _, group in sorted(groups.items(), key=lambda item: item[0])]
        print_log(
            f'layer decay {self.rate}: {len(ordered)} groups, learning rates from '
            f'{ordered[0]["lr"]:.3g} to {ordered[-1]["lr"]:.3g}',
            logger='current',
        )
        return ordered

    def _exempt(self, name: str, ndim: int) -> bool:
        """Whether a parameter has no weight decay."""
        leaf = name.rpartition('.')[2]
        if leaf in _POSITION_AND_TOKENS and name.startswith(_BACKBONE):
            return not self.decay_pos_cls
        return ndim <= 1 or leaf == 'bias'
