"""The teacher: an exponential moving average of parts of the student."""

import copy
from collections.abc import Mapping

import torch
from mmengine.model import BaseModule
from torch import nn


class EMATeacher(BaseModule):
    """Frozen copies of student modules that follow them slowly.

    ``t <- m t + (1 - m) s`` for every parameter that both sides have under the
    same name. Written with foreach kernels: one launch for all parameters. Buffers
    (BatchNorm statistics) are copied, unless the teacher is in training mode: then
    its own forward passes move them.

    Args:
        modules: Student modules by name; the teacher offers copies as attributes
            of the same names.
        drop: Names of parameters (dotted, e.g. ``'backbone.mask_token'``) that the
            teacher does without; set to None in the copy.
        train_mode: Keep the copies in training mode (hosts whose teacher normalises
            by batch statistics, as MoCo's and SoCo's do). False keeps them in
            evaluation mode, which also switches stochastic depth off.
    """

    def __init__(
        self, modules: Mapping[str, nn.Module], *, drop: tuple[str, ...] = (), train_mode: bool
    ) -> None:
        super().__init__()
        self.train_mode = train_mode
        for name, module in modules.items():
            self.add_module(name, copy.deepcopy(module))
        for dotted in drop:
            parent, _, leaf = dotted.rpartition('.')
            setattr(self.get_submodule(parent), leaf, None)
        self.requires_grad_(False)
        self.train(train_mode)

    def init_weights(self) -> None:
        """Nothing of its own: the host copies the initialised student."""

    def train(self, mode: bool = True) -> 'EMATeacher':
        """Stays in the mode it was built for, whatever the host is told."""
        return super().train(self.train_mode and mode)

    def _pairs(self, modules: Mapping[str, nn.Module]) -> tuple[list, list]:
        own = dict(self.named_parameters())
        mine, theirs = [], []
        for prefix, module in modules.items():
            for name, parameter in module.named_parameters():
                target = own.get(f'{prefix}.{name}')
                if target is not None:
                    mine.append(target)
                    theirs.append(parameter)
        return mine, theirs

    @torch.no_grad()
    def copy_from(self, modules: Mapping[str, nn.Module]) -> None:
        """Make the teacher equal to the student, buffers included (start of a run)."""
        self.update(modules, momentum=0.0)
        self._copy_buffers(modules)
        for name, module in modules.items():
            if hasattr(module, 'pos_rule'):  # belongs to the weights
                self.get_submodule(name).pos_rule = module.pos_rule

    @torch.no_grad()
    def update(self, modules: Mapping[str, nn.Module], *, momentum: float) -> None:
        """One EMA step.

        Args:
            modules: The student modules, under the names given at construction.
            momentum: m in [0, 1]; 1 leaves the teacher alone, 0 copies.
        """
        mine, theirs = self._pairs(modules)
        torch._foreach_mul_(mine, momentum)
        torch._foreach_add_(mine, theirs, alpha=1 - momentum)
        if not self.train_mode:
            self._copy_buffers(modules)

    def _copy_buffers(self, modules: Mapping[str, nn.Module]) -> None:
        own = dict(self.named_buffers())
        for prefix, module in modules.items():
            for name, buffer in module.named_buffers():
                own[f'{prefix}.{name}'].copy_(buffer)
