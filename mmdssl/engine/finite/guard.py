"""A step is committed only if it is finite, on all processes; otherwise it leaves no trace.

A step writes to many places: the forward pass to queues, centres and statistics of BatchNorm, the
optimizer to weights and moments, and after it the teacher follows. One NaN anywhere would reach all
of them. So what the forward pass writes is copied first; after the backward pass one flag says
whether losses, gradients and what was written are finite, the largest over all processes counts;
and if it says no, the optimizer and the teacher stand still and the copies are put back.

On a GPU the flag is not read: waiting for it would empty the queue of the device once a step.

* Fused optimizers take a flag (``found_inf``, made for loss scaling) and do nothing if it is set.
* Other optimizers whose state lies on the device take their step, and each tensor is then chosen
  between before and after.
* Where neither is possible (Adam without ``fused``, whose step counters lie in host memory; the
  first step of a parameter; a loss scaler with an optimizer that is not fused, which reads its own
  flag) the flag is read, as it is on a CPU, where that costs nothing.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Literal

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmdssl.engine.finite.snapshot import Snapshot
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.models.utils.collectives import all_reduce

__all__ = ['StepGuard']


class StepGuard:
    """Watches the steps of one optimizer wrapper from :meth:`attach` to :meth:`detach`.

    A step begins with :meth:`begin`, before its first batch (several under gradient
    accumulation), and ends inside the wrapper's ``update_params``; :meth:`update_teacher` follows.

    Args:
        model: The model, wrapped or not. Buffers are what its forward pass may write, and what
            its ``written_parameters()`` names (without that method: all parameters that are not
            trained).
        wrapper: Any wrapper of mmengine around one optimizer.
        reads: Whether the flag is read at once. None: on a CPU.

    Attributes:
        values: The last step's numbers, float32 on the device, see :attr:`NAMES`.
        gradient_norms: (P,) L2 norms of its gradients before clipping, on the device.
        gradient_names: Their parameters.
        skipped: Whether the last step was taken back; None where only the device knows.
        window_begins: Whether the next batch is the first of a step.
    """

    #: ``values``: whether the step was taken back and why, over all processes (1 or 0); the same
    #: reasons for this process alone; scale of the loss (1 without a scaler); its losses' sum.
    NAMES = (
        'taken_back',
        'loss_not_finite',
        'gradient_not_finite',
        'written_not_finite',
        'own_loss_not_finite',
        'own_written_not_finite',
        'scale',
        'loss',
    )

    def __init__(
        self, *, model: nn.Module, wrapper: OptimWrapper, reads: bool | None = None
    ) -> None:
        self.model = unwrap_model(model)
        self.wrapper: Any = wrapper
        self.optimizer = wrapper.optimizer
        self._reads = reads
        trained = {id(p) for group in self.optimizer.param_groups for p in group['params']}
        self._names = {id(p): name for name, p in self.model.named_parameters()}
        untrained = [p for p in self.model.parameters() if id(p) not in trained]
        named = getattr(self.model, 'written_parameters', None)
        self._declared = untrained if named is None else named()
        self._buffers = [
            (module, name) for module in self.model.modules() for name in module._buffers
        ]
        self._written, self._stepped, self._led = Snapshot(), Snapshot(), Snapshot()
        self._with_state: set[int] = set()  # parameters that have taken a step
        self._states_on_device = False
        self._kept: list[Tensor | None] = []  # buffers as objects, at the start of a step
        self._losses: list[Tensor] = []
        self._open = False
        self._flag: Tensor | None = None
        self.values = torch.zeros(len(self.NAMES))
        self.gradient_norms = torch.zeros(0)
        self.gradient_names: list[str] = []
        self.skipped: bool | None = False

    # ---- a step

    def attach(self) -> None:
        """Stand between the wrapper and whoever calls it, instead of an earlier guard."""
        if hasattr(self.wrapper, 'step_guard'):
            self.wrapper.step_guard.detach()
        self._update: Callable = self.wrapper.update_params
        self._step: Callable = self.wrapper.step
        self.wrapper.update_params = self._guarded_update
        # With the marks of schedulers, which look for the counter they have put there.
        self.wrapper.step = wraps(self._step)(partial(self._guarded_step))
        self.wrapper.step_guard = self

    def detach(self) -> None:
        """Leave the wrapper as it was."""
        for name in ('update_params', 'step', 'step_guard'):
            self.wrapper.__dict__.pop(name, None)

    @property
    def window_begins(self) -> bool:
        """See the class."""
        return self.wrapper.inner_count == 0 or self.wrapper.should_update()

    def begin(self) -> None:
        """Before each batch; keeps what the forward pass may write, if the batch begins a step."""
        if self.window_begins or not self._open:
            self._losses.clear()
            self._kept = [module._buffers.get(name) for module, name in self._buffers]
            self._written.save(self._writable())
            self._open = True

    def roll_back(self) -> None:
        """Take back what the batches of an unfinished step have written."""
        if self._open:
            self._put_back()
            self._open = False

    def update_teacher(self) -> None:
        """``model.update_teacher()`` after a step that was committed, otherwise nothing."""
        if self.skipped is None and self._flag is not None:
            teacher = getattr(self.model, 'teacher', self.model)
            self._led.save(
                [*(p for p in teacher.parameters() if not p.requires_grad), *teacher.buffers()]
            )
            self.model.update_teacher()
            self._led.restore_where(self._flag > 0)
        elif not self.skipped:
            self.model.update_teacher()

    # ---- in place of the wrapper's methods

    def _guarded_update(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        self._losses.append(loss.detach().float().reshape(()))
        self._update(loss, *args, **kwargs)

    def _guarded_step(self, **kwargs: Any) -> None:
        way = self._way()
        flag = self._judge()
        self.skipped = bool(flag > 0) if way == 'read' else None
        scaled = self._scaler is not None
        if scaled and self.skipped is not False:
            self._spoil(flag)  # the scaler finds what is not finite itself, and lowers its scale
        if scaled or self.skipped is False:
            self._step(**kwargs)
        elif way == 'fused':
            self._step_fused(flag, kwargs)
        elif way == 'choose':
            self._stepped.save(self._stepping_tensors())
            self._step(**kwargs)
            self._stepped.restore_where(flag > 0)
        if self.skipped is None:
            self._written.restore_where(flag > 0)
        elif self.skipped:
            self._put_back()
        else:
            self._remember_states()
        self._flag, self._open = flag, False

    def _step_fused(self, flag: Tensor, kwargs: dict) -> None:
        self.optimizer.found_inf, self.optimizer.grad_scale = flag, None
        try:
            self._step(**kwargs)
        finally:
            del self.optimizer.found_inf, self.optimizer.grad_scale

    # ---- deciding

    @torch.no_grad()
    def _judge(self) -> Tensor:
        """1 if anything is not finite on any process, else 0: float32 () on the device."""
        stepping = [p for p in self._parameters() if p.grad is not None]
        self.gradient_names = [self._names.get(id(p), '?') for p in stepping]
        like = self._parameters()[0]
        self.gradient_norms = _norms([p.grad for p in stepping if p.grad is not None], like)
        floats = [tensor for tensor in self._writable() if tensor.is_floating_point()]
        written = _norms(floats, like)
        losses = torch.stack(self._losses) if self._losses else written.new_zeros(1)
        own = torch.stack([_not_finite(x) for x in (losses, self.gradient_norms, written)])
        flags = torch.cat((own.max()[None], own))
        all_reduce(flags, op='max')
        scale = flags.new_ones(())
        if self._scaler is not None:
            scale = self._scaler._get_scale_async().to(flags).reshape(()).clone()
            self.gradient_norms = self.gradient_norms / scale
        self.values = torch.cat(
            (flags, own[0::2], torch.stack((scale, losses.sum().to(flags.device))))
        )
        return flags[0].clone()

    def _way(self) -> Literal['read', 'fused', 'choose']:
        """How this step is decided, see the module docstring."""
        stepping = self._stepping()
        on_host = stepping[0].device.type == 'cpu' if stepping else True
        if on_host if self._reads is None else self._reads:
            return 'read'
        if self._replaced() or any(id(p) not in self._with_state for p in stepping):
            return 'read'
        if all(group.get('fused') for group in self.optimizer.param_groups):
            return 'fused'
        return 'choose' if self._states_on_device and self._scaler is None else 'read'

    @property
    def _scaler(self) -> Any:
        """The wrapper's loss scaler, if it scales."""
        scaler = getattr(self.wrapper, 'loss_scaler', None)
        return scaler if scaler is not None and scaler.is_enabled() else None

    @torch.no_grad()
    def _spoil(self, flag: Tensor) -> None:
        """Make one gradient NaN where the step is not to be taken."""
        for parameter in self._parameters():
            if parameter.grad is not None:
                entry = parameter.grad[(0,) * parameter.grad.ndim]
                entry.copy_(torch.where(flag > 0, torch.full_like(entry, torch.nan), entry))
                return

    # ---- what is written

    def _writable(self) -> list[Tensor]:
        """What the forward pass may write."""
        buffers = [module._buffers.get(name) for module, name in self._buffers]
        return [*(buffer for buffer in buffers if buffer is not None), *self._declared]

    def _replaced(self) -> list[tuple[nn.Module, str, Tensor | None]]:
        """Buffers in whose place the forward pass has put others, with what was there."""
        return [
            (module, name, before)
            for (module, name), before in zip(self._buffers, self._kept, strict=True)
            if module._buffers.get(name) is not before
        ]

    def _put_back(self) -> None:
        for module, name, before in self._replaced():
            module._buffers[name] = before
        self._written.restore()

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group['params']]

    def _stepping(self) -> list[nn.Parameter]:
        """Parameters that the optimizer will change."""
        held = {id(p) for p in getattr(self.wrapper, 'held_parameters', list)()}
        return [p for p in self._parameters() if p.grad is not None and id(p) not in held]

    def _stepping_tensors(self) -> list[Tensor]:
        """They, and their states."""
        stepping = self._stepping()
        states = [self.optimizer.state[p] for p in stepping]
        return [*stepping, *(v for state in states for v in state.values() if torch.is_tensor(v))]

    def _remember_states(self) -> None:
        """After a step that the host knows: whose states exist now, and where they lie."""
        stepped = [p for p in self._parameters() if p.grad is not None]
        if all(id(p) in self._with_state for p in stepped):
            return
        self._with_state.update(id(p) for p in stepped)
        self._states_on_device = all(
            value is None or (torch.is_tensor(value) and value.device == parameter.device)
            for parameter, state in self.optimizer.state.items()
            for value in state.values()
        )


def _norms(tensors: list[Tensor], like: Tensor) -> Tensor:
    """L2 norms (n,) float32 of tensors that lie where ``like`` does."""
    by_dtype: dict[torch.dtype, list[int]] = {}
    for place, tensor in enumerate(tensors):
        by_dtype.setdefault(tensor.dtype, []).append(place)
    if not by_dtype:
        return torch.zeros(0, device=like.device)
    norms: list[Tensor] = [like] * len(tensors)
    for places in by_dtype.values():
        # stacked before they are converted: two kernels instead of one for each
        found = torch.stack(torch._foreach_norm([tensors[place] for place in places])).float()
        if len(places) == len(tensors):
            return found
        for place, norm in zip(places, found.unbind(), strict=True):
            norms[place] = norm
    return torch.stack(norms)


def _not_finite(values: Tensor) -> Tensor:
    """1 if one of them is not finite, else 0: float32 ()."""
    return (~torch.isfinite(values).all()).float()
