"""Intra-object coupling: does the feature of a part change with what stands around it?

"Mind Your Augmentation" (ICLR 2024), Eq. 4: ``CR = 1 - cos(z of X^OP, z of X^C)``, masked average
pooling over the part, the rest removed in X^OP and taken from another image in X^C. 0 is a part
that is its own; the paper draws the histogram.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from mmdssl.evaluation.diagnostic_metric import DiagnosticMetric, cosines, statistics
from mmdssl.registry import METRICS

__all__ = ['IntraObjectCoupling']


@METRICS.register_module()
class IntraObjectCoupling(DiagnosticMetric):
    """Coupling ratios of :class:`ObjectParts`.

    Reports by layer ``mean``, ``median``, ``se`` (standard error) and ``parts``, their number.
    ``values`` are (parts,); ``histograms`` are by layer (counts (bins,), edges (bins + 1,)) over
    [0, 2], all that CR can be, so that checkpoints share their bins.

    Args:
        rest: 'object': the rest of the object is removed and exchanged, its surroundings stay
            (caption of the paper's figure); 'all': everything outside the part (its text). The
            data set must have made these views.
        bins: Of the histogram.
        save: NPZ file for ``values``.
        **settings: ``prefix`` of the reported names.

    Raises:
        ValueError: If ``rest`` is unknown, or not among the views.
    """

    default_prefix = 'cr_intra'
    diagnostic = 'ObjectParts'

    def __init__(
        self,
        *,
        rest: Literal['object', 'all'] = 'object',
        bins: int = 80,
        save: str | Path | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(save=save, **settings)
        if rest not in ('object', 'all'):
            raise ValueError(f"IntraObjectCoupling: rest={rest!r} must be 'object' or 'all'")
        self.rest = rest
        self.bins = bins

    @property
    def histograms(self) -> dict[str, tuple[Int[np.ndarray, ' b'], Float[np.ndarray, ' b+1']]]:
        """By layer: counts (bins,) and edges (bins + 1,) of the last evaluation."""
        return {
            layer: np.histogram(values, bins=self.bins, range=(0, 2))
            for layer, values in self.values.items()
        }

    def read(
        self, features: Float[np.ndarray, 'v p c'], sample: Mapping[str, Any]
    ) -> dict[str, Float[np.ndarray, '...']]:
        """Views ``[X^OP, X^C]`` for every kind of rest, one region."""
        rests = tuple(sample['rests'])
        if self.rest not in rests:
            raise ValueError(
                f'IntraObjectCoupling(rest={self.rest!r}): the data set made the views of {rests} '
                f'only; add {self.rest!r} to rests of ObjectParts'
            )
        place = 2 * rests.index(self.rest)
        return dict(removed=features[place, 0], exchanged=features[place + 1, 0])

    def measure(
        self, features: Mapping[str, Float[np.ndarray, 'n ...']]
    ) -> tuple[Float[np.ndarray, 'n ...'], dict[str, float]]:
        """CR of all parts."""
        values = 1 - cosines(features['removed'], features['exchanged'])
        numbers = {f'/{name}': value for name, value in statistics(values).items()}
        return values, numbers | {'/parts': len(values)}
