"""BYOL (NeurIPS 2020, arXiv 2006.07733) of mmpretrain, de-coupled at the cells of its feature map.

BYOL compares vectors of whole images: with f backbone, g projector, q predictor and t the target
network, L = -2 cos(q(g(mean of f(x))), g_t(mean of f_t(x'))), summed over both ways. It has no
dense loss; the branch takes the same loss cell by cell. With f_i the vector of cell i,

    L_D = mean over foreground cells i of  -4 cos(q(g(f_i(X^D))), g_t(f_t,i(X))),

where 4 makes it as large as the two ways of L together.

Nothing is added to the networks. The target network's maps of X are those that BYOL's own loss has
just computed: they are caught on their way, so the branch costs no pass of the target network.
The main loss is mmpretrain's own code.
"""

from typing import Any

import torch
from mmpretrain.models.selfsup import BYOL
from torch import Tensor, nn

from mmdssl.core.clock import TrainingClock
from mmdssl.models.foreground import Foreground
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.registry import MODELS


@MODELS.register_module()
class DecoupledBYOL(BYOL):
    """mmpretrain's ``BYOL`` as a host of the branch.

    Args:
        decoupling: Config of a ``DecouplingBranch``; None: plain BYOL.
        **kwargs: Arguments of ``BYOL``; the backbone gives one map.

    The batch: ``inputs['views']``, two of (N, 3, H, W), and ``inputs['dc_mask']`` of those views
    that are key views, (N, H, W) bool.
    """

    supports_patch_mixing = False
    further_objectives = ()
    evaluated_backbone = 'student'

    def __init__(self, *, decoupling: dict | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clock = TrainingClock()
        self.decoupling: Any = MODELS.build(decoupling) if decoupling else None
        if self.decoupling is not None:
            self.decoupling.check_host(self)

    def get_backbone(self, which: str = 'student') -> nn.Module:
        """What is measured during training."""
        return self.backbone

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_byol``, and ``loss_decoupling``, each with its weight."""
        maps: list[Tensor] = []  # of the target network: (N, C, h, w) of views 0 and 1
        backbone = self.target_net.module[0]
        listener = backbone.register_forward_hook(lambda _, __, out: maps.append(out[0]))
        losses = dict(loss_byol=super().loss(list(inputs['views']), data_samples)['loss'])
        listener.remove()
        if self.decoupling is not None:
            targets = dict(enumerate(maps))
            result = self.decoupling(self, inputs, targets, step=self.clock.iteration)
            losses = self.decoupling.combine(losses, result)
        return losses

    def dense_features(self, images: Tensor) -> Tensor:
        """Student map (n, C, h, w); BatchNorm does not remember these images."""
        with frozen_running_stats(self.backbone):
            return self.backbone(images)[0]

    def dense_loss(self, features: Tensor, targets: Tensor, foreground: Foreground) -> Tensor:
        """BYOL's loss of foreground cells, each as a map (1, 1); mean over all of them."""
        chosen = foreground.cells(*features.shape[2:])  # (n, h, w)
        # (n, C, h, w) -> (M, C, 1, 1)
        student, teacher = (
            x.permute(0, 2, 3, 1)[chosen][:, :, None, None] for x in (features, targets)
        )
        if len(student) < 2:  # BatchNorm needs two
            return features.sum() * 0
        with frozen_running_stats(self.neck, self.head, self.target_net):
            with torch.no_grad():
                projected = self.target_net.module[1]((teacher,))[0]
            return 4 * self.head.loss(self.neck((student,))[0], projected)
