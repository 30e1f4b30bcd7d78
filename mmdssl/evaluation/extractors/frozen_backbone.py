"""What all extractors are: a backbone that is not trained, behind a normalisation of its images."""

from mmengine.model import BaseModel
from torch import nn

from mmdssl.registry import MODELS

__all__ = ['FrozenBackbone']

_NORMALISE = dict(type='MultiViewPreprocessor')


class FrozenBackbone(BaseModel):
    """Base of the extractors.

    Args:
        backbone: Config or module; shared, not copied, if a module.
        data_preprocessor: Config or module that normalises (N, 3, H, W) uint8 RGB; None: with
            ImageNet's mean and standard deviation.
    """

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(data_preprocessor=_build(data_preprocessor or _NORMALISE))
        self.backbone = _build(backbone)


def _build(config: dict | nn.Module) -> nn.Module:
    """Builds a config in our own registry, whatever the current default scope."""
    return MODELS.build(config) if isinstance(config, dict) else config
