"""Optimizer wrappers that clip every parameter tensor by itself and freeze layers at first.

mmengine clips the norm of all gradients together. DINO and iBOT clip each tensor
on its own, so that one loud layer does not quieten the others. They also leave
the last (prototype) layer alone during the first epoch: its gradients are removed
after clipping and before the step, so that AdamW passes the layer over entirely,
weight decay and moments included.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mmdssl.core.clock import TrainingClock
from mmdssl.engine.finite.late import LateValues
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.registry import OPTIM_WRAPPERS

__all__ = ['AmpPerParamClipOptimWrapper', 'PerParamClipOptimWrapper', 'clip_grad_norm_each_']


@torch.no_grad()
def clip_grad_norm_each_(
    parameters: Iterable[Tensor], max_norm: float, *, eps: float = 1e-6
) -> tuple[Tensor, Tensor]:
    """Clip the L2 norm of each gradient tensor to ``max_norm``, in place.

    ``grad *= min(1, max_norm / (||grad|| + eps))`` for each tensor by itself (the
    official iBOT code; "iBOT", ICLR 2022). Runs without a host synchronisation.

    Args:
        parameters: Parameters; those without a gradient are passed over.
        max_norm: Largest norm, > 0.
        eps: Added to the norm.

    Returns:
        Norm of all gradients together before clipping, and the share of tensors
        that were clipped; scalars on the gradients' device.
    """
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not grads:
        return torch.zeros(()), torch.zeros(())
    norms = torch._foreach_norm(grads, 2)
    factors = torch._foreach_add(norms, eps)
    torch._foreach_reciprocal_(factors)
    torch._foreach_mul_(factors, max_norm)
    torch._foreach_clamp_max_(factors, 1.0)
    torch._foreach_mul_(grads, factors)
    # norms are many scalars: one stacked vector costs two kernels instead of one each
    stacked, below_one = torch.stack(norms).float(), torch.stack(factors) < 1
    return torch.linalg.vector_norm(stacked), below_one.float().mean()


def parameters_under(names: Iterable[str], key: str) -> list[str]:
    """Names that have the dotted ``key`` among their components.

    ``'head.last_layer'`` finds ``head.last_layer.bias`` and
    ``neck.head.last_layer.parametrizations.weight.original0``, not
    ``head.last_layer2.bias``.
    """
    return [name for name in names if f'.{key}.' in f'.{name}.']


class _ClipAndFreeze(OptimWrapper):
    """What both wrappers share: the two settings, whatever precision the step has."""

    def __init__(
        self,
        *,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
        freeze: dict | None = None,
        **kwargs: Any,
    ) -> None:
        clip = dict(clip_grad or {})
        per_param = clip.get('type') == 'per_param'
        super().__init__(
            optimizer=optimizer,
            accumulative_counts=accumulative_counts,
            clip_grad=None if per_param else clip or None,
            **kwargs,
        )
        if per_param:
            if set(clip) != {'type', 'max_norm'} or clip['max_norm'] <= 0:
                raise ValueError(
                    f'clip_grad={clip}: per-parameter clipping takes one setting, a max_norm above '
                    "0, as in dict(type='per_param', max_norm=3.0)"
                )
            self.clip_grad_kwargs = dict(max_norm=clip['max_norm'])
            self.clip_func = clip_grad_norm_each_
            self.grad_name = 'grad_norm'
        self._freeze_keys, self._freeze_epochs = _checked_freeze(freeze)
        self._frozen_at_first: list[Tensor] | None = None
        self.clock = TrainingClock()
        self._norms = LateValues(delay=1)
        # A pre-hook runs after clipping, and inside GradScaler.step as well.
        optimizer.register_step_pre_hook(self._drop_frozen_gradients)

    def bind(self, model: nn.Module) -> None:
        """Find the parameters that ``freeze`` names, and share the model's clock.

        Args:
            model: The model that is trained, wrapped or not.

        Raises:
            ValueError: If a key of ``freeze`` names no trainable parameter.
        """
        model = unwrap_model(model)
        clock = getattr(model, 'clock', None)
        if isinstance(clock, TrainingClock):
            self.clock = clock
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        found: list[Tensor] = []
        for key in self._freeze_keys:
            names = parameters_under(trainable, key)
            if not names:
                modules = {name for name, _ in model.named_modules()} - {''}
                hint = get_close_matches(key, modules, n=3, cutoff=0.3)
                raise ValueError(
                    f'freeze: no trainable parameter of {type(model).__name__} lies under '
                    f'{key!r}; similar modules: {", ".join(hint) or "none"}'
                )
            found += [trainable[name] for name in names]
        self._frozen_at_first = found

    def _clip_grad(self) -> None:
        """Clip, and log the norm; per-parameter clipping also logs how many were clipped.

        On a GPU its two numbers are logged a step later, so that nobody waits for them.
        """
        if self.clip_func is not clip_grad_norm_each_:
            super()._clip_grad()
            return
        groups = self.optimizer.param_groups
        parameters = [parameter for group in groups for parameter in group['params']]
        found = clip_grad_norm_each_(parameters, **self.clip_grad_kwargs)
        self._norms.put(torch.stack(found), None)
        for (norm, clipped), _ in self._norms.due():
            self.message_hub.update_scalar('train/grad_norm', norm)
            self.message_hub.update_scalar('train/grad_clipped', clipped)

    def held_parameters(self) -> list[Tensor]:
        """Parameters that this step leaves alone because of ``freeze``."""
        if not self._freeze_keys:
            return []
        if self._frozen_at_first is None:
            raise RuntimeError(
                f'freeze={self._freeze_keys} was never matched with a model; build the wrapper '
                "with constructor='SelfSupOptimWrapperConstructor', or call bind(model)"
            )
        return self._frozen_at_first if self.clock.epoch < self._freeze_epochs else []

    def _drop_frozen_gradients(self, *_: Any) -> None:
        for parameter in self.held_parameters():
            parameter.grad = None


def _checked_freeze(freeze: dict | None) -> tuple[tuple[str, ...], int]:
    """Keys and number of epochs of a ``freeze`` setting."""
    if freeze is None:
        return (), 0
    unknown = set(freeze) - {'keys', 'epochs'}
    keys: Sequence[str] | str = freeze.get('keys', ())
    if unknown or not keys:
        raise ValueError(
            f'freeze={freeze}: give module names and a number of epochs, as in '
            "dict(keys=('head.last_layer',), epochs=1)"
        )
    return ((keys,) if isinstance(keys, str) else tuple(keys)), freeze.get('epochs', 1)


@OPTIM_WRAPPERS.register_module()
class PerParamClipOptimWrapper(_ClipAndFreeze):
    """mmengine's ``OptimWrapper`` with clipping per tensor and layers frozen at first.

    Args:
        optimizer: The optimizer.
        accumulative_counts: Batches per step.
        clip_grad: ``dict(type='per_param', max_norm=3.0)`` clips each gradient
            tensor by itself (see :func:`clip_grad_norm_each_`); mmengine's
            ``'norm'`` (all together) and ``'value'`` work as before.
        freeze: ``dict(keys=('head.last_layer',), epochs=1)``: no step for the
            parameters under these modules in the first ``epochs`` epochs. A key
            is a dotted module name or a part of one (whole components). Their
            gradients still count in clipping and in the logged norm.

    Raises:
        ValueError: For settings that are none of these.
    """


class _Autocast(AmpOptimWrapper):
    """mmengine's mixed precision with a constructor that does not insist on a GPU.

    bfloat16 has the range of float32: it needs no loss scaling and runs on a CPU,
    so mmengine's check and its scaler would only be in the way.
    """

    def __init__(self, *, dtype: str, loss_scale: str | float | dict, **kwargs: Any) -> None:
        OptimWrapper.__init__(self, **kwargs)
        self.cast_dtype = getattr(torch, dtype)
        self._scale_update_param = loss_scale if isinstance(loss_scale, float) else None
        if dtype == 'bfloat16':
            self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
            return
        settings = loss_scale if isinstance(loss_scale, dict) else {}
        if isinstance(loss_scale, float):
            settings = dict(init_scale=loss_scale)
        self.loss_scaler = torch.amp.GradScaler('cuda', **settings)


@OPTIM_WRAPPERS.register_module()
class AmpPerParamClipOptimWrapper(_ClipAndFreeze, _Autocast):
    """The same under autocast: float16 with loss scaling, or bfloat16 without.

    Gradients are unscaled before they are clipped.

    Args:
        dtype: ``'float16'`` or ``'bfloat16'``.
        loss_scale: ``'dynamic'``, a fixed scale, or arguments of ``GradScaler``;
            only for float16.
        **kwargs: Arguments of :class:`PerParamClipOptimWrapper`.

    Raises:
        ValueError: For another dtype, or float16 without a GPU.
    """

    def __init__(
        self, *, dtype: str = 'float16', loss_scale: str | float | dict = 'dynamic', **kwargs: Any
    ) -> None:
        if dtype not in ('float16', 'bfloat16'):
            raise ValueError(f"dtype is {dtype!r}; choose 'float16' or 'bfloat16'")
        if dtype == 'float16' and not torch.cuda.is_available():
            raise ValueError(
                "mixed precision in float16 needs a GPU; use dtype='bfloat16' (--amp bf16) on a CPU"
            )
        super().__init__(dtype=dtype, loss_scale=loss_scale, **kwargs)

    def load_state_dict(self, state_dict: dict) -> None:
        """Also takes the state of a run in another precision, which scaled no losses."""
        if not state_dict.get('loss_scaler'):
            state_dict = {key: v for key, v in state_dict.items() if key != 'loss_scaler'}
        super().load_state_dict(state_dict)
