"""Parameter groups of self-supervised training: few, so that the optimizer step is fast.

mmengine's constructor makes one group per parameter as soon as anything is
parameter-wise, and foreach or fused optimizers then launch kernels for each of
them. Two groups, with and without weight decay, say the same.
"""

from typing import Any

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmdssl.engine.unwrap import unwrap_model
from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

__all__ = ['SelfSupOptimWrapperConstructor']

# Tokens and position tables, under the names that mmpretrain, timm and iBOT give them.
_POSITION_AND_TOKENS = frozenset(
    {
        'cls_token',
        'pos_embed',
        'mask_token',
        'masked_embed',
        'mask_embed',
        'dist_token',
        'register_tokens',
    }
)
_SETTINGS = frozenset({'decay_pos_cls', 'custom_keys'})


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class SelfSupOptimWrapperConstructor:
    """Builds an optimizer over two groups: weights with decay; biases and 1-D without.

    Parameters with ``requires_grad=False`` are left out. A teacher's parameters
    never get in: the model's ``teacher`` must not require gradients.

    Args:
        optim_wrapper_cfg: Config of the wrapper with its ``optimizer``, e.g.
            ``dict(type='PerParamClipOptimWrapper', optimizer=dict(type='AdamW',
            lr=2e-3, weight_decay=0.04), clip_grad=..., freeze=...)``. Arguments of
            the optimizer such as ``foreach`` or ``fused`` pass through.
        paramwise_cfg: Two settings.
            ``decay_pos_cls`` (default True): class token, position table and mask
            token are 2-D or more and decay, as in the official iBOT code; False
            exempts them.
            ``custom_keys``: ``{part of a name: dict(lr_mult=..., decay_mult=...)}``
            as in mmengine: of several matching keys the longest counts, further
            entries go into the parameter group. Unlike there, ``lr_mult`` alone
            leaves the rule for biases in force; ``decay_mult`` overrides it. Each
            new pair of values makes another group.

    Raises:
        ValueError: For unknown settings, a teacher that requires gradients, keys
            of ``freeze`` or ``custom_keys`` that match nothing, or a model without
            trainable parameters.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        if 'optimizer' not in self.wrapper_cfg:
            raise ValueError(
                "optim_wrapper has no optimizer; add optimizer=dict(type='AdamW', ...)"
            )
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))
        settings = dict(paramwise_cfg or {})
        unknown = set(settings) - _SETTINGS
        if unknown:
            raise ValueError(
                f'paramwise_cfg: {sorted(unknown)} unknown to SelfSupOptimWrapperConstructor, '
                f'which takes {sorted(_SETTINGS)}'
            )
        self.decay_pos_cls = settings.get('decay_pos_cls', True)
        self.custom_keys: dict[str, dict] = settings.get('custom_keys', {})

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper for ``model``."""
        model = unwrap_model(model)
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': self.param_groups(model)})
        wrapper_cfg = {'type': 'PerParamClipOptimWrapper', **self.wrapper_cfg}
        wrapper = OPTIM_WRAPPERS.build({**wrapper_cfg, 'optimizer': optimizer})
        if hasattr(wrapper, 'bind'):
            wrapper.bind(model)
        return wrapper

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups: by learning rate, weight decay and further entries.

        Args:
            model: The model without its wrapper.

        Returns:
            Groups for a torch optimizer, those with weight decay first.
        """
        groups: dict[tuple, dict[str, Any]] = {}
        used: set[str] = set()
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            if name.startswith('teacher.'):
                raise ValueError(
                    f'{type(model).__name__}: {name} requires gradients, but a teacher is not '
                    'trained; call teacher.requires_grad_(False)'
                )
            key = self._matching_key(name)
            used.update({key} if key else ())
            settings = self._settings(name, parameter.ndim, self.custom_keys.get(key or '', {}))
            identity = tuple(sorted((entry, repr(value)) for entry, value in settings.items()))
            groups.setdefault(identity, dict(params=[], **settings))['params'].append(parameter)
        if not groups:
            raise ValueError(f'{type(model).__name__} has no trainable parameter')
        unused = set(self.custom_keys) - used
        if unused:
            raise ValueError(f'custom_keys: no trainable parameter is named by {sorted(unused)}')
        ordered = sorted(groups.values(), key=lambda group: group.get('weight_decay', 1) == 0)
        self._report(ordered)
        return ordered

    def _matching_key(self, name: str) -> str | None:
        matching = [key for key in self.custom_keys if key in name]
        # mmengine's order: the longest key, of equal ones the first in the alphabet
        return min(matching, key=lambda key: (-len(key), key), default=None)

    def _settings(self, name: str, ndim: int, custom: dict) -> dict[str, Any]:
        """Entries of the group of one parameter, beside ``params``."""
        extra = {k: v for k, v in custom.items() if k not in ('lr_mult', 'decay_mult')}
        leaf = name.rpartition('.')[2]
        exempt = ndim <= 1 or leaf == 'bias'
        exempt |= not self.decay_pos_cls and leaf in _POSITION_AND_TOKENS
        settings: dict[str, Any] = dict(extra)
        if 'lr_mult' in custom:
            settings['lr'] = self._base('lr') * custom['lr_mult']
        if 'decay_mult' in custom:
            settings['weight_decay'] = self._base('weight_decay') * custom['decay_mult']
        elif exempt:
            settings['weight_decay'] = 0.0
        return settings

    def _base(self, setting: str) -> float:
        if setting not in self.optimizer_cfg:
            raise ValueError(
                f'custom_keys multiply {setting}, which optimizer={self.optimizer_cfg} does not '
                'give; add it'
            )
        return self.optimizer_cfg[setting]

    @staticmethod
    def _report(groups: list[dict[str, Any]]) -> None:
        parts = []
        for group in groups:
            count = sum(parameter.numel() for parameter in group['params'])
            settings = ', '.join(
                f'{k}={v:g}' for k, v in group.items() if k in ('lr', 'weight_decay')
            )
            parts.append(f'{len(group["params"])} tensors ({count:,} values; {settings or "base"})')
        print_log(f'Parameter groups: {"; ".join(parts)}', logger='current')
