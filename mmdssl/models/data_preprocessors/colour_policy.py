"""Which colour changes a view gets, and the draw of one set of parameters per sample.

All randomness of the colour augmentation is one table of uniform numbers, one row a sample, from
torch's CPU generator: ``torch.manual_seed`` fixes it, it is the same whatever the device of the
images, and the number of draws does not depend on the policy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

__all__ = ['JITTER_OPS', 'ColourDraws', 'ColourPolicy']

JITTER_OPS = ('brightness', 'contrast', 'saturation', 'hue')
_HUES = 2  # from this operation on they mix R, G and B
# Columns of the table of uniform numbers.
_FACTORS, _ORDER = slice(0, 4), slice(4, 8)
_JITTER, _GRAYSCALE, _BLUR, _SIGMA, _SOLARIZE = range(8, 13)
_COLUMNS = 13


@dataclass(frozen=True)
class ColourDraws:
    """Parameters of N samples; a change that a sample does not get has a neutral value.

    Attributes:
        order: (N, 4) int64. The jitter operations of a sample in the order they are applied, as
            indices into ``JITTER_OPS``; -1 fills the places behind the last.
        factors: (N, 4) float32, by operation (not by place): brightness, contrast, saturation as
            factors, hue as a shift in turns.
        grayscale: (N,) bool.
        sigma: (N,) float32, blur in pixels; 0 means none.
        threshold: (N,) float32, solarise at or above it; infinity means none.
    """

    order: Tensor
    factors: Tensor
    grayscale: Tensor
    sigma: Tensor
    threshold: Tensor

    def __len__(self) -> int:
        return len(self.sigma)

    def __getitem__(self, rows: Tensor | slice) -> 'ColourDraws':
        """The draws of some samples."""
        return ColourDraws(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def cat(cls, draws: Sequence['ColourDraws']) -> 'ColourDraws':
        """The draws of several batches as one."""
        return cls(
            *(torch.cat([getattr(one, field.name) for one in draws]) for field in fields(cls))
        )


@dataclass(frozen=True)
class ColourPolicy:
    """The distribution of :class:`ColourDraws` for one view; the defaults change nothing.

    Attributes:
        ranges: (low, high) of the uniform factor of each of ``JITTER_OPS``.
        jitter_prob: Share of samples that get the jitter.
        grayscale_prob: Share of samples made grey.
        blur_prob: Share of samples blurred.
        sigma: (low, high) of the uniform blur sigma, in pixels.
        solarize_prob: Share of samples solarised.
        threshold: Values at or above it are inverted; in [0, 1].
    """

    ranges: tuple[tuple[float, float], ...] = ((1, 1), (1, 1), (1, 1), (0, 0))
    jitter_prob: float = 0.0
    grayscale_prob: float = 0.0
    blur_prob: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarize_prob: float = 0.0
    threshold: float = 0.5

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str = 'view') -> 'ColourPolicy':
        """Reads the policy of a view from a config.

        Args:
            config: Any of the keys ``jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2,
                hue=0.1, prob=0.8)``, ``grayscale=0.2``, ``blur=dict(prob=1.0, sigma=(0.1, 2.0))``
                and ``solarize=dict(prob=0.2, threshold=0.5)``; a missing key is a change that is
                never made, a missing ``prob`` is 1. A jitter strength s means factors from
                max(0, 1 - s) to 1 + s (hue: shifts from -s to s, s <= 0.5), a pair gives the
                range itself.
            where: Name of the view in error messages.

        Returns:
            The policy.

        Raises:
            ValueError: If a key is unknown or a value is out of range.
        """
        _check_keys(config, ('jitter', 'grayscale', 'blur', 'solarize'), where)
        jitter = _section(config, 'jitter', (*JITTER_OPS, 'prob'), where)
        blur = _section(config, 'blur', ('prob', 'sigma'), where)
        solarize = _section(config, 'solarize', ('prob', 'threshold'), where)
        policy = cls(
            ranges=tuple(
                _factor_range(jitter.get(op, 0.0), op, f'{where}.jitter.{op}') for op in JITTER_OPS
            ),
            jitter_prob=_in_range(jitter.get('prob', 1.0), 0, 1, f'{where}.jitter.prob'),
            grayscale_prob=_in_range(config.get('grayscale', 0.0), 0, 1, f'{where}.grayscale'),
            blur_prob=_in_range(
                blur.get('prob', 1.0 if 'blur' in config else 0.0), 0, 1, f'{where}.blur.prob'
            ),
            sigma=_pair(blur.get('sigma', cls.sigma), 1e-3, math.inf, f'{where}.blur.sigma'),
            solarize_prob=_in_range(
                solarize.get('prob', 1.0 if 'solarize' in config else 0.0),
                0,
                1,
                f'{where}.solarize.prob',
            ),
            threshold=_in_range(
                solarize.get('threshold', cls.threshold), 0, 1, f'{where}.solarize.threshold'
            ),
        )
        return policy

    def without_hues(self) -> 'ColourPolicy':
        """What of it has a meaning for other channels than R, G, B: brightness, contrast, blur."""
        neutral = ColourPolicy()
        return replace(
            self,
            ranges=(*self.ranges[:_HUES], *neutral.ranges[_HUES:]),
            grayscale_prob=0.0,
            solarize_prob=0.0,
        )

    def draw(self, n: int) -> ColourDraws:
        """Draws the parameters of ``n`` samples from torch's CPU generator.

        Args:
            n: Number of samples.

        Returns:
            The draws, on the CPU.
        """
        uniform = torch.rand(n, _COLUMNS)
        low, high = torch.tensor(self.ranges, dtype=torch.float32).unbind(1)  # (4,), (4,)
        # torchvision shuffles the operations of every image: sorting uniform keys does the same.
        # Operations that never change anything are sorted behind the others and left out.
        idle = low.eq(high) & low.eq(torch.tensor([1.0, 1.0, 1.0, 0.0]))  # (4,)
        order = uniform[:, _ORDER].masked_fill(idle, 2.0).argsort(dim=1)
        skipped = idle[order] | uniform[:, _JITTER, None].ge(self.jitter_prob)
        # A chance of exactly 1 hits always, since torch.rand is below 1.
        blurred = uniform[:, _BLUR].lt(self.blur_prob)
        sigma = self.sigma[0] + (self.sigma[1] - self.sigma[0]) * uniform[:, _SIGMA]
        solarized = uniform[:, _SOLARIZE].lt(self.solarize_prob)
        return ColourDraws(
            order=order.masked_fill(skipped, -1),
            factors=low + (high - low) * uniform[:, _FACTORS],
            grayscale=uniform[:, _GRAYSCALE].lt(self.grayscale_prob),
            sigma=sigma.masked_fill(~blurred, 0.0),
            threshold=torch.full((n,), self.threshold).masked_fill(~solarized, math.inf),
        )


def _check_keys(config: Any, allowed: Sequence[str], where: str) -> None:
    if not isinstance(config, Mapping):
        raise ValueError(f'{where} is a dict with keys among {list(allowed)}, got {config!r}')
    unknown = sorted(set(config) - set(allowed))
    if unknown:
        raise ValueError(f'{where} has unknown keys {unknown}: use keys among {list(allowed)}')


def _section(config: Mapping[str, Any], key: str, allowed: Sequence[str], where: str) -> Mapping:
    section = config.get(key, {})
    _check_keys(section, allowed, f'{where}.{key}')
    return section


def _in_range(value: Any, low: float, high: float, where: str) -> float:
    # bool is an int to Python, but True is no probability anyone means.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ValueError(f'{where} is a number from {low:g} to {high:g}, got {value!r}')
    return float(value)


def _pair(value: Any, low: float, high: float, where: str) -> tuple[float, float]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f'{where} is a pair (low, high), got {value!r}')
    first, second = (_in_range(one, low, high, where) for one in value)
    if first > second:
        raise ValueError(f'{where} is a pair (low, high) with low <= high, got {value!r}')
    return first, second


def _factor_range(value: Any, op: str, where: str) -> tuple[float, float]:
    lowest, highest = (-0.5, 0.5) if op == 'hue' else (0.0, math.inf)
    if isinstance(value, Sequence):
        return _pair(value, lowest, highest, where)
    strength = _in_range(value, 0, highest, where)
    return (-strength, strength) if op == 'hue' else (max(0.0, 1 - strength), 1 + strength)
