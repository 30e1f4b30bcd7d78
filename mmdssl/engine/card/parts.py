"""What the groups of a card share: settings, what they give, and the configs they start from."""

from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from mmdssl.core.shipped import shipped

__all__ = ['CardSettings', 'Found', 'base_config']


@dataclass(frozen=True)
class CardSettings:
    """What a card is measured with.

    Attributes:
        size: Side of the images in pixels, a multiple of the patches.
        seed: Of everything drawn.
        bootstrap: Sets of photos drawn for intervals.
        batch: Images in a pass.
        workers: Processes that load images.
    """

    size: int = 224
    seed: int = 0
    bootstrap: int = 1000
    batch: int = 16
    workers: int = 2


@dataclass(frozen=True)
class Found:
    """What a group gives.

    Attributes:
        numbers: By name.
        selection: How its samples were chosen, plain values.
        missing: Why some of its numbers are not there, by the beginning of their names.
    """

    numbers: dict[str, float]
    selection: dict[str, Any]
    missing: dict[str, str] = field(default_factory=dict)


def base_config(name: str) -> Config:
    """A config of data and metrics that comes with the package."""
    return Config.fromfile(shipped('configs') / '_base_' / 'datasets' / name)
