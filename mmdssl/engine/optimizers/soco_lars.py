"""LARS as SoCo (NeurIPS 2021) defines it.

For every weight tensor w with gradient g (L2 norms, momentum m, learning rate lr):

    d = g + weight_decay * w
    v <- m v + d * trust * |w| / (|d| + eps)
    w <- w - lr v

Tensors of one dimension (biases, BatchNorm) take d = g and no scaling: plain momentum. What
differs from mmpretrain's ``LARS``: the decay is part of the gradient *before* the norm is taken
(there |g| + weight_decay |w| stands in the denominator), and the learning rate is applied after
the momentum, so that a change of rate acts on the past as well.

Written with foreach kernels, and nothing is read back from the device.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mmdssl.registry import OPTIMIZERS

__all__ = ['SoCoLARS']


@OPTIMIZERS.register_module()
class SoCoLARS(Optimizer):
    """See the module docstring.

    A tensor that is all zeros takes its step unscaled: its norm would hold it there for ever.

    Args:
        params: Parameters or groups. A group with ``lars_exclude=True`` is treated like
            one-dimensional tensors: no decay, no scaling.
        lr: Learning rate, >= 0; for large batches it is large too (8 at 1024 images).
        momentum: m in [0, 1).
        weight_decay: >= 0.
        trust: Step of a tensor in units of its norm, at lr 1.
        eps: Added to the norm of d.

    Raises:
        ValueError: For a value out of its range.
    """

    def __init__(
        self,
        params: Iterable,
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 1e-5,
        trust: float = 0.001,
        eps: float = 1e-8,
    ) -> None:
        if lr < 0 or weight_decay < 0 or not 0 <= momentum < 1 or trust <= 0 or eps < 0:
            raise ValueError(
                f'SoCoLARS: lr={lr}, momentum={momentum}, weight_decay={weight_decay}, '
                f'trust={trust}, eps={eps}; momentum lies in [0, 1), trust is positive, the '
                'others are at least 0'
            )
        super().__init__(
            params,
            dict(
                lr=lr,
                momentum=momentum,
                weight_decay=weight_decay,
                trust=trust,
                eps=eps,
                lars_exclude=False,
            ),
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step; returns what ``closure`` returns, if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            trained = [p for p in group['params'] if p.grad is not None]
            plain = [p for p in trained if group['lars_exclude'] or p.ndim <= 1]
            scaled = [p for p in trained if not group['lars_exclude'] and p.ndim > 1]
            if plain:
                self._descend(plain, [p.grad for p in plain], group)
            if scaled:
                self._descend(scaled, _scaled_gradients(scaled, group), group)
        return loss

    def _descend(self, params: list[Tensor], steps: list[Tensor], group: dict[str, Any]) -> None:
        """Momentum and the step itself; ``steps`` are read only."""
        velocities = []
        for parameter in params:
            state = self.state[parameter]
            if 'momentum_buffer' not in state:
                state['momentum_buffer'] = torch.zeros_like(parameter)
            velocities.append(state['momentum_buffer'])
        torch._foreach_mul_(velocities, group['momentum'])
        torch._foreach_add_(velocities, steps)
        torch._foreach_add_(params, velocities, alpha=-group['lr'])


def _scaled_gradients(params: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """d * trust * |w| / (|d| + eps) for every tensor."""
    gradients: list[Tensor] = [p.grad for p in params]  # type: ignore[misc]
    decayed = torch._foreach_add(gradients, params, alpha=group['weight_decay'])
    # many scalars as one vector: a kernel each for all tensors together
    weights = torch.stack(torch._foreach_norm(params, 2))
    norms = torch.stack(torch._foreach_norm(decayed, 2))
    ratios = torch.where(weights > 0, group['trust'] * weights / (norms + group['eps']), 1.0)
    torch._foreach_mul_(decayed, list(ratios.unbind()))
    return list(decayed)
