"""A network that somebody else trained and nobody trains here: its weights and its pixels."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.core.hub import is_there
from mmdssl.models.utils.backbone_weights import Source, load_backbone
from mmdssl.models.utils.host_copies import move
from mmdssl.registry import MODELS

__all__ = ['FrozenNet']


class FrozenNet(BaseModule):
    """A backbone without gradients, always in evaluation mode; subclasses say what it gives.

    Args:
        backbone: The network. A config needs ``checkpoint``, an ``init_cfg`` of its own or
            ``init='random'``; a module keeps its weights unless ``checkpoint`` is given.
        checkpoint: File with its weights: one of this package's runs, or any that
            :func:`mmdssl.models.utils.backbone_weights.load_backbone` reads. Read by
            :meth:`init_weights`.
        source: Which backbone of a run to take, see there.
        mean: Mean of R, G, B, 0..255, that it was trained with (CLIP has its own); None: the
            student's.
        std: Standard deviation of R, G, B, in the same way.
        init: ``'random'`` leaves the weights random, whatever ``checkpoint`` says, and warns:
            for trying out the rest.

    Raises:
        ValueError: Without weights, or with only one of ``mean`` and ``std``.
    """

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        checkpoint: str | None = None,
        source: Source = 'auto',
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        init: Literal['pretrained', 'random'] = 'pretrained',
    ) -> None:
        super().__init__()
        given = isinstance(backbone, nn.Module)
        self.backbone: Any = backbone if given else MODELS.build(backbone)
        if init not in ('pretrained', 'random'):
            raise ValueError(f"{self._title}: init is {init!r}, give 'pretrained' or 'random'")
        own_weights = given or getattr(self.backbone, 'init_cfg', None) is not None
        if init == 'pretrained' and checkpoint is None and not own_weights:
            raise ValueError(
                f"{self._title}: no weights: give checkpoint=FILE, or init='random' to try out the "
                'rest without'
            )
        if (mean is None) != (std is None):
            raise ValueError(f'{self._title}: mean={mean!r} and std={std!r} are given together')
        self.checkpoint, self.source, self.init = checkpoint, source, init
        self._given = given
        self.mean, self.std = mean, std
        self._factor: tuple[float, ...] = (1.0, 1.0, 1.0)
        self._shift: tuple[float, ...] = (0.0, 0.0, 0.0)
        self.requires_grad_(False)
        self.eval()

    @property
    def _title(self) -> str:
        return type(self).__name__

    def train(self, mode: bool = True) -> 'FrozenNet':
        """Stays in evaluation mode, whatever the host is told."""
        return super().train(False)

    def check_checkpoint(self) -> None:
        """Refuse a missing file before anything is trained."""
        if self.init == 'random' or self.checkpoint is None:
            return
        if not is_there(self.checkpoint):
            raise FileNotFoundError(
                f'no teacher at {self.checkpoint}: train or convert one first (see the header of '
                'the config), or give its file as model.teacher.checkpoint=FILE'
            )

    def init_weights(self) -> None:
        """Read the checkpoint."""
        if self.init == 'random':
            self.backbone.init_weights()
            print_log(
                f"{self._title}: RANDOM WEIGHTS (init='random'): the student learns nothing of use "
                'from them',
                logger='current',
                level=30,
            )
        elif self.checkpoint is not None:
            self.check_checkpoint()
            report = load_backbone(self.backbone, self.checkpoint, source=self.source)
            print_log(f'Teacher from {self.checkpoint}: {report}', logger='current')
        elif not self._given:
            self.backbone.init_weights()

    def expect_normalised_by(self, preprocessor: Any, host: str) -> None:
        """State what normalises the images that it will get.

        Args:
            preprocessor: The host's; its ``mean`` and ``std`` are R, G, B, 0..255.
            host: Whose, for the message.

        Raises:
            ValueError: If the network wants a mean and deviation of its own, and ``preprocessor``
                does not say what it normalises by.
        """
        if self.mean is None or self.std is None:
            return
        mean, std = getattr(preprocessor, 'mean', None), getattr(preprocessor, 'std', None)
        if mean is None or std is None:
            raise ValueError(
                f'{host}: the teacher has a mean and std of its own, but '
                f'{type(preprocessor).__name__} does not say what it normalises by; use '
                'MultiViewPreprocessor'
            )
        # x = (p - mean) / std, wanted: (p - own_mean) / own_std
        self._factor = tuple(s / own for s, own in zip(std, self.std, strict=True))
        self._shift = tuple(
            (m - own) / scale for m, own, scale in zip(mean, self.mean, self.std, strict=True)
        )

    def normalised(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) normalised as the student's, by its own mean and deviation."""
        if self.mean is None:
            return images
        factor, shift = (
            move(torch.tensor(x, dtype=images.dtype), images.device)[:, None, None]
            for x in (self._factor, self._shift)
        )
        return images * factor + shift
