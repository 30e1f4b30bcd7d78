"""Every host with its optimizer, steps outside a runner, and faults to put into a step."""

import itertools
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn

from mmdssl.engine.finite.guard import StepGuard
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS
from tests.models import tiny, tiny_leopart, tiny_maskalign, tiny_resnet
from tests.models.algorithms import narrow_d3ssl, narrow_soco
from tests.projects import test_byol, test_simmim

BRANCH = dict(type='DecouplingBranch')
ADAMW = dict(type='AdamW', lr=1e-2, weight_decay=0.04)
SGD = dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4)
LARS = dict(type='SoCoLARS', lr=1.0)
CLIP = dict(type='per_param', max_norm=3.0)

#: Name: model, batch (a function of a seed), optimizer.
HOSTS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], dict], dict]] = {
    'iBOT-D': (
        lambda: tiny.tiny_ibot(decoupling=BRANCH),
        lambda seed: tiny.tiny_batch(seed=seed),
        ADAMW,
    ),
    'DenseCL-D': (
        lambda: tiny_resnet.tiny_densecl(decoupling=BRANCH),
        lambda seed: tiny_resnet.two_views(seed=seed),
        SGD,
    ),
    'MoCo v2': (
        lambda: tiny_resnet.tiny_densecl(loss_lambda=0.0),
        lambda seed: tiny_resnet.two_views(seed=seed),
        SGD,
    ),
    'PixPro-D': (
        lambda: tiny_resnet.tiny_pixpro(decoupling=BRANCH),
        lambda seed: tiny_resnet.place_batch(seed=seed),
        LARS,
    ),
    'BYOL-D': (
        lambda: tiny_resnet.tiny_byol(decoupling=BRANCH),
        lambda seed: tiny_resnet.two_views(seed=seed),
        SGD,
    ),
    'ReSim-D': (
        lambda: tiny_resnet.tiny_resim(decoupling=BRANCH),
        lambda seed: tiny_resnet.window_batch(seed=seed),
        SGD,
    ),
    'SoCo-D': (
        lambda: narrow_soco.narrow_soco(decoupling=BRANCH),
        lambda seed: narrow_soco.soco_batch(seed=seed),
        LARS,
    ),
    'D3SSL': (
        lambda: narrow_d3ssl.narrow_d3ssl(),
        lambda seed: narrow_d3ssl.d3ssl_batch(seed=seed),
        SGD,
    ),
    'Leopart-D': (
        lambda: tiny_leopart.tiny_leopart(decoupling=BRANCH, queue_length=48),
        lambda seed: tiny_leopart.leopart_batch(seed=seed),
        ADAMW,
    ),
    'MaskAlign-D': (
        lambda: tiny_maskalign.tiny_maskalign(decoupling=BRANCH),
        lambda seed: tiny_maskalign.tiny_batch(seed=seed),
        ADAMW,
    ),
    'BYOL': (lambda: test_byol.tiny_host(), lambda seed: test_byol.make_batch(), SGD),
    'SimMIM': (lambda: test_simmim.tiny_host(), lambda seed: test_simmim.make_batch(), ADAMW),
}
PRECISIONS = ('fp32', 'bf16', 'fp16')
#: Where a step stops being finite. The last leaves losses and gradients finite.
FAULTS = ('image', 'loss nan', 'loss inf', 'gradient nan', 'gradient inf', 'buffer')


def build_wrapper(model: nn.Module, optimizer: dict, *, precision: str = 'fp32', **kwargs) -> Any:
    """The wrapper of a run; 'fp16': with a loss scaler, computing in bfloat16, as on a CPU."""
    kind = 'PerParamClipOptimWrapper' if precision == 'fp32' else 'AmpPerParamClipOptimWrapper'
    settings = dict(type=kind, optimizer=optimizer, **kwargs)
    if precision != 'fp32':
        settings.update(dtype='bfloat16')
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(type='SelfSupOptimWrapperConstructor', optim_wrapper_cfg=settings)
    )(model)
    if precision == 'fp16':
        wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=2.0**10)
    return wrapper


@dataclass
class Run:
    """A model in training."""

    model: nn.Module
    batch: Callable[[int], dict]
    wrapper: Any
    guard: StepGuard | None = None
    number: int = 0

    @property
    def host(self) -> Any:
        return unwrap_model(self.model)

    def step(self, number: int, fault: str | None = None) -> None:
        """Step ``number``: batch, draws and clock depend on it alone."""
        if self.guard is not None:
            self.guard.begin()
        self.forward_backward(number, fault)
        if hasattr(self.host, 'update_teacher'):
            (self.host if self.guard is None else self.guard).update_teacher()

    def forward_backward(self, number: int, fault: str | None = None) -> None:
        """One batch, and the optimizer's step if it ends one."""
        torch.manual_seed(number)
        MessageHub.get_current_instance().update_info('max_iters', 50)  # BYOL asks it
        self.host.clock.set(iteration=number, max_iterations=50, iterations_per_epoch=10)
        batch = self.batch(number)
        if fault == 'image':
            batch['views'][0][0, 0, 3, 3] = torch.nan
        with self.wrapper.optim_context(self.model):
            losses = self.model(batch, mode='loss')
        total = sum(value for name, value in losses.items() if 'loss' in name)
        with inject(self.host, fault):
            if fault in ('loss nan', 'loss inf'):
                total = total * float(fault.split()[1])
            self.wrapper.update_params(total)


def inject(model: Any, fault: str | None) -> Any:
    """Faults after the forward pass."""
    if fault == 'buffer':
        float_buffers = [b for b in model.buffers() if b.is_floating_point() and b.numel() > 1]
        target = float_buffers or model.written_parameters()
        with torch.no_grad():
            target[-1].view(-1)[1] = torch.nan
    if fault is None or not fault.startswith('gradient'):
        return nullcontext()
    parameters = [p for p in model.parameters() if p.requires_grad]
    value = float(fault.split()[1])

    def spoil(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient.view(-1)[-1] = value
        return gradient

    return _Hooked(parameters[len(parameters) // 2], spoil)


class _Hooked:
    def __init__(self, parameter: Tensor, hook: Callable) -> None:
        self.parameter, self.hook = parameter, hook

    def __enter__(self) -> None:
        self.handle = self.parameter.register_hook(self.hook)

    def __exit__(self, *_: Any) -> None:
        self.handle.remove()


def start(
    host: str,
    *,
    precision: str = 'fp32',
    guarded: bool = True,
    reads: bool | None = None,
    optimizer: dict | None = None,
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model,
    **kwargs: Any,
) -> Run:
    """A run of a host before its first step."""
    build, batch, own_optimizer = HOSTS[host]
    model = wrap(build().train())
    wrapper = build_wrapper(model, optimizer or own_optimizer, precision=precision, **kwargs)
    guard = StepGuard(model=model, wrapper=wrapper, reads=reads) if guarded else None
    if guard is not None:
        guard.attach()
    return Run(model, batch, wrapper, guard)


def state_of(run: Run) -> dict[str, Tensor]:
    """Parameters, all buffers and the optimizer's state, copied."""
    host = run.host
    state = {name: value.detach().clone() for name, value in host.named_parameters()}
    state.update((name, value.detach().clone()) for name, value in host.named_buffers())
    places = itertools.count()
    for group in run.wrapper.optimizer.param_groups:
        for parameter in group['params']:
            place = next(places)
            for name, value in run.wrapper.optimizer.state.get(parameter, {}).items():
                if torch.is_tensor(value):
                    state[f'optimizer.{place}.{name}'] = value.detach().clone()
    return state


def different(one: dict[str, Tensor], two: dict[str, Tensor]) -> list[str]:
    """Entries that are not bit for bit the same, NaN being equal to NaN."""
    missing = sorted(one.keys() ^ two.keys())
    return missing + [
        name
        for name in one.keys() & two.keys()
        if not torch.equal(
            torch.nan_to_num(one[name], 12345.0), torch.nan_to_num(two[name], 12345.0)
        )
    ]


def not_finite(state: dict[str, Tensor]) -> list[str]:
    """Entries that hold NaN or Inf."""
    return [n for n, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
