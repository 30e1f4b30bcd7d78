"""SimMIM (CVPR 2022, arXiv 2111.09886) of mmpretrain with the de-coupling branch.

SimMIM hides patches and predicts their pixels: L = mean over hidden pixels of |prediction - x|.
Its dense targets are pixels, so there is no teacher. For the branch, patches of X^D are hidden as
well, in a draw of their own, and

    L_D = mean over pixels that are hidden AND foreground of |prediction from X^D - x|:

the hidden part of an object is to be completed while all that surrounds it is of another image.
The main loss is mmpretrain's own code.
"""

from typing import Any

import torch
from mmpretrain.models.selfsup import SimMIM
from mmpretrain.structures import DataSample
from torch import Tensor

from mmdssl.core.clock import TrainingClock
from mmdssl.core.step_generator import step_generator
from mmdssl.models.backbones import DenseViT
from mmdssl.models.foreground import Foreground
from mmdssl.registry import MODELS

_HIDDEN = 0xD1B54A33  # draws of its own: those of the main path stay as they are without branch


@MODELS.register_module()
class MaskedViT(DenseViT):
    """The ViT of this package, called the way SimMIM calls its backbone."""

    def forward(
        self, images: Tensor, mask: Tensor | None = None, **mixing: Any
    ) -> tuple[Tensor, ...]:
        """One map (N, C, h, w); images (N, 3, H, W), mask (N, h, w) bool, True = hidden."""
        patches = self.forward_tokens(images, mask=mask, **mixing)[:, 1:]  # (N, h*w, C)
        return (patches.transpose(1, 2).unflatten(2, self.grid_size(images)),)


@MODELS.register_module()
class DecoupledSimMIM(SimMIM):
    """mmpretrain's ``SimMIM`` as a host of the branch.

    Args:
        decoupling: Config of a ``DecouplingBranch``; None: plain SimMIM.
        hide: Share of the patches of X^D that is hidden, in (0, 1).
        **kwargs: Arguments of ``SimMIM``.

    The batch: ``inputs['views'][0]`` (N, 3, H, W), ``inputs['mask'][0]`` (N, h, w) bool, and
    ``inputs['dc_mask'][0]`` (N, h, w) bool for the branch.
    """

    supports_patch_mixing = True
    further_objectives = ()
    evaluated_backbone = 'student'

    def __init__(self, *, decoupling: dict | None = None, hide: float = 0.6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clock = TrainingClock()
        self.hide = hide
        self.decoupling: Any = MODELS.build(decoupling) if decoupling else None
        if self.decoupling is not None:
            self.decoupling.check_host(self)

    def get_backbone(self, which: str = 'student') -> DenseViT:
        """What is measured during training."""
        return self.backbone

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_simmim``, and ``loss_decoupling``, each with its weight."""
        images = inputs['views'][0]
        samples = [DataSample(mask=mask) for mask in inputs['mask'][0]]
        losses = dict(loss_simmim=super().loss(images, samples)['loss'])
        if self.decoupling is not None:
            result = self.decoupling(self, inputs, {0: images}, step=self.clock.iteration)
            losses = self.decoupling.combine(losses, result)
        return losses

    def dense_features(self, images: Tensor, **mixing: Any) -> tuple[Tensor, Tensor]:
        """Predicted pixels (n, 3, H, W) and the patches (n, h, w) that were hidden for it."""
        generator = step_generator(self.clock.iteration, _HIDDEN)
        draws = torch.rand(len(images), *self.backbone.grid_size(images), generator=generator)
        hidden = draws.to(images.device) < self.hide
        return self.neck(self.backbone(images, hidden, **mixing)[0]), hidden

    def dense_loss(
        self, features: tuple[Tensor, Tensor], targets: Tensor, foreground: Foreground
    ) -> Tensor:
        """SimMIM's loss on hidden foreground; ``targets`` (n, 3, H, W) are the key views."""
        prediction, hidden = features
        return self.head.loss(prediction, targets, hidden & foreground.cells(*hidden.shape[1:]))
