"""Self-distillation losses of iBOT with centring, and their running centres.

Source: iBOT (ICLR 2022) as run in "Mind Your Augmentation" (ICLR 2024), whose
code settles the averaging order: cross entropy per token, mean over the tokens
that count within a sample, mean over samples, mean over the terms (view pairs).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdssl.core.schedules import teacher_temperature
from mmdssl.models.utils.collectives import all_reduce
from mmdssl.models.utils.precision import wide
from mmdssl.registry import MODELS


@MODELS.register_module()
class IBOTLoss(nn.Module):
    """CLS and patch cross entropies between a student and a centred, sharpened teacher.

    Args:
        out_channels: Prototypes of the CLS token.
        patch_out_channels: Prototypes of patches; default ``out_channels``.
        student_temp: Student temperature.
        teacher_temp: Temperature (start, end) of CLS targets.
        teacher_patch_temp: Temperature (start, end) of patch targets.
        warmup_epochs: Epochs of the linear ramp from start to end, both included.
        pred_start_epoch: First epoch with a patch loss; the patch ramp starts there.
        center_momentum: Momentum m of the CLS centre, c <- m c + (1 - m) mean.
        patch_center_momentum: The same for the patch centre.
        loss_weights: Factors of the CLS and the patch term.
    """

    def __init__(
        self,
        *,
        out_channels: int,
        patch_out_channels: int | None = None,
        student_temp: float = 0.1,
        teacher_temp: tuple[float, float] = (0.04, 0.07),
        teacher_patch_temp: tuple[float, float] = (0.04, 0.07),
        warmup_epochs: int = 80,
        pred_start_epoch: int = 0,
        center_momentum: float = 0.9,
        patch_center_momentum: float = 0.9,
        loss_weights: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.student_temp = student_temp
        self.teacher_temp = teacher_temp
        self.teacher_patch_temp = teacher_patch_temp
        self.warmup_epochs = warmup_epochs
        self.pred_start_epoch = pred_start_epoch
        self.center_momentum = center_momentum
        self.patch_center_momentum = patch_center_momentum
        self.loss_weights = loss_weights
        self.register_buffer('center', torch.zeros(1, out_channels))
        self.register_buffer('patch_center', torch.zeros(1, patch_out_channels or out_channels))
        self.center: Tensor
        self.patch_center: Tensor

    def cls_temperature(self, epoch: int) -> float:
        """Temperature of CLS targets in ``epoch`` (0-based)."""
        start, end = self.teacher_temp
        return teacher_temperature(epoch, start=start, end=end, warmup_epochs=self.warmup_epochs)

    def patch_temperature(self, epoch: int) -> float:
        """Temperature of patch targets in ``epoch`` (0-based)."""
        start, end = self.teacher_patch_temp
        return teacher_temperature(
            epoch,
            start=start,
            end=end,
            warmup_epochs=self.warmup_epochs,
            start_epoch=self.pred_start_epoch,
        )

    def cls_targets(self, teacher: Float[Tensor, 'b k'], *, epoch: int) -> Float[Tensor, 'b k']:
        """Centred and sharpened distributions (B, K) of raw CLS logits (B, K)."""
        return self._targets(teacher, self.center, self.cls_temperature(epoch))

    def cls_loss(
        self,
        student: Float[Tensor, 'vn k'],
        teacher: Float[Tensor, 'tn k'],
        *,
        num_teacher_views: int,
        epoch: int,
    ) -> Float[Tensor, '']:
        """Cross entropy of every student view against every *other* teacher view.

        Args:
            student: (V*N, K) logits, view-major; the first ``num_teacher_views``
                views are the ones the teacher saw, the others are local crops.
            teacher: (num_teacher_views*N, K) raw logits.
            num_teacher_views: Views that the teacher saw.
            epoch: 0-based epoch, for the temperature.

        Returns:
            Scalar: mean over the N images and the ``T*(V-1)`` pairs, unweighted.
        """
        with torch.autocast(student.device.type, enabled=False):
            targets = self.cls_targets(teacher, epoch=epoch).chunk(num_teacher_views)
            views = len(student) // len(targets[0])
            log_probs = F.log_softmax(wide(student) / self.student_temp, dim=-1).chunk(views)
            # sum_q <t_q, sum_{v != q} s_v>: one product per teacher view instead of one per pair.
            total = torch.stack(log_probs).sum(0)
            terms = [
                -(target * (total - log_probs[q])).sum(-1).mean()
                for q, target in enumerate(targets)
            ]
            return torch.stack(terms).sum() / (num_teacher_views * (views - 1))

    def patch_loss(
        self,
        student: Float[Tensor, 'm k'],
        teacher: Float[Tensor, 'm k'],
        weights: Float[Tensor, ' m'],
        *,
        epoch: int,
    ) -> Float[Tensor, '']:
        """Weighted sum of patch cross entropies.

        Args:
            student: (M, K') logits of the patches that count, any images and views.
            teacher: (M, K') raw teacher logits of the same patches.
            weights: (M,) weight of each patch, see :class:`ChosenCells`.
            epoch: 0-based epoch, for the temperature.

        Returns:
            Scalar, unweighted by ``loss_weights``; 0 with a gradient path if M = 0.
        """
        return self.cross_entropy(student, self.patch_targets(teacher, epoch=epoch), weights)

    def patch_targets(self, teacher: Float[Tensor, 'm k'], *, epoch: int) -> Float[Tensor, 'm k']:
        """Centred and sharpened distributions (M, K') of raw patch logits (M, K')."""
        return self._targets(teacher, self.patch_center, self.patch_temperature(epoch))

    def cross_entropy(
        self,
        student: Float[Tensor, 'm k'],
        targets: Float[Tensor, 'm k'],
        weights: Float[Tensor, ' m'],
    ) -> Float[Tensor, '']:
        """Weighted sum of the cross entropies of logits (M, K') with distributions (M, K')."""
        with torch.autocast(student.device.type, enabled=False):
            entropy = F.cross_entropy(wide(student) / self.student_temp, targets, reduction='none')
            return (entropy * weights.to(entropy.dtype)).sum()

    @staticmethod
    @torch.no_grad()
    def _targets(
        logits: Float[Tensor, 'm k'], center: Float[Tensor, '1 k'], temperature: float
    ) -> Float[Tensor, 'm k']:
        with torch.autocast(logits.device.type, enabled=False):
            logits = wide(logits)
            return ((logits - center.to(logits.dtype)) / temperature).softmax(dim=-1)

    @torch.no_grad()
    def update_centers(
        self, cls_mean: Float[Tensor, ' k'], patch_mean: Float[Tensor, ' k2']
    ) -> None:
        """Move both centres towards this step's mean teacher logits, over all processes.

        Args:
            cls_mean: (K,) mean of the raw CLS logits of this process.
            patch_mean: (K',) mean of the raw patch logits, over all patches.
        """
        means = torch.cat((cls_mean.flatten(), patch_mean.flatten())).to(self.center.dtype)
        all_reduce(means, op='mean')  # one message for both
        cls_mean, patch_mean = means.split((self.center.numel(), self.patch_center.numel()))
        self.center.lerp_(cls_mean.view_as(self.center), 1 - self.center_momentum)
        self.patch_center.lerp_(
            patch_mean.view_as(self.patch_center), 1 - self.patch_center_momentum
        )
