"""Inter-object coupling: does the feature of A move towards its neighbour B as A fades?

With A from the image that holds A alone (*alone*), A from the image that holds both (*beside*) and
B, the coupling ratio CR is 1 without leakage and above 1 with it:

- ``angle``, "Mind Your Augmentation" (ICLR 2024), Eq. 3:
  ``max(pi/2 - theta(beside, B), eps) / max(pi/2 - theta(alone, B), eps)``, B from its own image
  (the paper calls *alone* A1 and *beside* A2).
- ``cosine``, D3SSL: ``cos(beside, B) / cos(alone, B)``, B from the image that holds both, which
  the paper leaves open (it calls *beside* A1 and *alone* A2). Neither bounds the denominator; we
  clamp both sides at eps as in the other form.

Features with a mean near zero have right angles between them, so denominators clamp and the mean
says little: their share is always reported, and so is a form of ours without that weakness,
``full_angle``: ``(pi - theta(beside, B)) / (pi - theta(alone, B))`` on features centred by the mean
of all undisturbed ones (A alone and B alone) of the layer. Centred by those, features that only
share that something is missing point no more to one B than to another.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from mmdssl.evaluation.diagnostic_metric import DiagnosticMetric, cosines, statistics
from mmdssl.registry import METRICS

__all__ = ['InterObjectCoupling', 'coupling_ratio', 'full_angle']

Form = Literal['angle', 'cosine']

_FLOOR = 1e-2  # radians, of both sides of the full-angle ratio


@METRICS.register_module()
class InterObjectCoupling(DiagnosticMetric):
    """Coupling ratios of :class:`ObjectPairs`, over its ratios of missing A.

    Reports, by layer over all ratios (``last/mean``) and for each (``last@0.5/mean``): ``mean``,
    ``median`` and ``se`` (standard error over pairs) of CR; ``clamped``, the share of clamped
    denominators; ``full_angle`` and ``full_angle_se``, mean and standard error of the full-angle
    ratio, and ``full_angle_pooled``, the ratio of the means of its two sides, which a few small
    denominators do not lift; and ``last/pairs``, their number. ``values`` are (pairs, ratios, 5):
    CR, full-angle ratio, whether the denominator of CR was clamped, and the full-angle ratio's
    numerator and denominator in radians.

    Args:
        form: 'angle' or 'cosine', see the module.
        eps: Lower bound of both sides, in radians (angle) or as a cosine; the paper names no
            value. A small one makes the mean explode where denominators clamp.
        b_from: Image that B's feature comes from: 'alone', 'beside', or 'auto', that of the form.
        per_ratio: Also report each ratio.
        save: NPZ file for ``values``.
        **settings: ``prefix`` of the reported names.

    Raises:
        ValueError: If ``form`` or ``b_from`` is unknown or ``eps`` not positive.
    """

    default_prefix = 'cr_inter'
    diagnostic = 'ObjectPairs'

    def __init__(
        self,
        *,
        form: Form = 'angle',
        eps: float = 1e-2,
        b_from: Literal['auto', 'alone', 'beside'] = 'auto',
        per_ratio: bool = True,
        save: str | Path | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(save=save, **settings)
        if form not in ('angle', 'cosine'):
            raise ValueError(f"InterObjectCoupling: form={form!r} must be 'angle' or 'cosine'")
        if b_from not in ('auto', 'alone', 'beside'):
            raise ValueError(
                f"InterObjectCoupling: b_from={b_from!r} must be 'auto', 'alone' or 'beside'"
            )
        if not eps > 0:
            raise ValueError(f'InterObjectCoupling: eps={eps} must be positive')
        self.form = form
        self.eps = eps
        self.b_from = b_from
        self.per_ratio = per_ratio
        self.ratios: tuple[float, ...] = ()

    def read(
        self, features: Float[np.ndarray, 'v p c'], sample: Mapping[str, Any]
    ) -> dict[str, Float[np.ndarray, '...']]:
        """Views ``[B, A, AB(r)..., and A(r)... with mask_a1]``, regions (A, B)."""
        ratios = tuple(sample['ratios'])
        count = len(ratios)
        if self.ratios and self.ratios != ratios and self.results:
            raise ValueError(
                f'InterObjectCoupling: samples have the ratios {self.ratios} and {ratios}; '
                'evaluate one diagnostic data set at a time'
            )
        self.ratios = ratios
        whole, b_alone = features[1, 0], features[0, 1]  # (C,)
        fading = features[2 + count :, 0] if sample['mask_a1'] else features[1:2, 0]
        b_beside = self.b_from == 'beside' or (self.b_from == 'auto' and self.form == 'cosine')
        return dict(
            alone=np.broadcast_to(fading, (count, features.shape[-1])),
            beside=features[2 : 2 + count, 0],
            other=features[2 : 2 + count, 1] if b_beside else b_alone[None],
            clean=np.stack([whole, b_alone]),
        )

    def measure(
        self, features: Mapping[str, Float[np.ndarray, 'n ...']]
    ) -> tuple[Float[np.ndarray, 'n ...'], dict[str, float]]:
        """CR, full-angle ratio and clamps of all pairs and ratios."""
        alone, beside, other = features['alone'], features['beside'], features['other']
        ratio, clamped = coupling_ratio(alone, beside, other, form=self.form, eps=self.eps)
        centre = features['clean'].mean(axis=(0, 1))
        above = full_angle(beside - centre, other - centre)
        below = full_angle(alone - centre, other - centre)
        values = np.stack([ratio, above / below, clamped, above, below], axis=-1)
        numbers = _summary(values, '')
        numbers['/pairs'] = len(values)
        for index, missing in enumerate(self.ratios if self.per_ratio else ()):
            numbers.update(_summary(values[:, index : index + 1], f'@{missing:g}'))
        return values, numbers


def coupling_ratio(
    alone: Float[np.ndarray, '*#n c'],
    beside: Float[np.ndarray, '*#n c'],
    other: Float[np.ndarray, '*#n c'],
    *,
    form: Form,
    eps: float,
) -> tuple[Float[np.ndarray, '*m'], Bool[np.ndarray, '*m']]:
    """CR of vectors along the last axis.

    Args:
        alone: (..., C) A from the image without B.
        beside: (..., C) A from the image with B.
        other: (..., C) B.
        form: See the module.
        eps: Lower bound of both sides.

    Returns:
        CR (...), and where the denominator was clamped (...), bool.
    """
    sides = cosines(beside, other), cosines(alone, other)
    if form == 'angle':
        sides = np.pi / 2 - np.arccos(sides[0]), np.pi / 2 - np.arccos(sides[1])
    return np.maximum(sides[0], eps) / np.maximum(sides[1], eps), sides[1] < eps


def full_angle(
    first: Float[np.ndarray, '*#n c'], second: Float[np.ndarray, '*#n c']
) -> Float[np.ndarray, '...']:
    """``pi - theta`` of centred vectors along the last axis, one side of our own form.

    Args:
        first: (..., C).
        second: (..., C).

    Returns:
        (...) radians: pi where both point the same way, pi / 2 at a right angle; at least 0.01,
        which opposite vectors reach.
    """
    return np.maximum(np.pi - np.arccos(cosines(first, second)), _FLOOR)


def _summary(values: Float[np.ndarray, 'n r 5'], row: str) -> dict[str, float]:
    """Statistics of values (pairs, ratios, 5)."""
    full = statistics(values[..., 1], 'full_angle')
    return {
        **{f'{row}/{name}': value for name, value in statistics(values[..., 0]).items()},
        f'{row}/clamped': float(values[..., 2].mean()),
        f'{row}/full_angle': full['full_angle'],
        f'{row}/full_angle_se': full['full_angle_se'],
        f'{row}/full_angle_pooled': float(values[..., 3].mean() / values[..., 4].mean()),
    }
