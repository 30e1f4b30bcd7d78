"""Cosine of an object's feature with itself under an exchanged background: 1 where it is its own.

The companion of the coupling ratios, free of denominators. Raw cosines are high for any net whose
features share a large mean, so they are also given for features centred by the mean of all
undisturbed ones of the layer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from mmdssl.evaluation.diagnostic_metric import DiagnosticMetric, cosines, statistics
from mmdssl.registry import METRICS

__all__ = ['BackgroundSensitivity']


@METRICS.register_module()
class BackgroundSensitivity(DiagnosticMetric):
    """Self-cosines of :class:`ObjectBackgrounds`: high values say *insensitive* to the background.

    1: the feature is the object's own; the lower, the more of it is background.

    Reports by layer ``raw``, ``raw_median``, ``raw_se``, ``centred``, ``centred_median``,
    ``centred_se`` and ``objects``, their number. ``values`` are (objects, 2): raw, centred.

    Args:
        save: NPZ file for ``values``.
        prefix: Of the reported names.
    """

    default_prefix = 'bg_self'
    diagnostic = 'ObjectBackgrounds'

    def read(
        self, features: Float[np.ndarray, 'v p c'], sample: Mapping[str, Any]
    ) -> dict[str, Float[np.ndarray, '...']]:
        """Views (image, exchanged), one region."""
        if features.shape[:2] != (2, 1) or 'diagnostic_boxes' not in sample:
            raise KeyError('pair of views with one box')
        return dict(own=features[0, 0], exchanged=features[1, 0])

    def measure(
        self, features: Mapping[str, Float[np.ndarray, 'n ...']]
    ) -> tuple[Float[np.ndarray, 'n ...'], dict[str, float]]:
        """Cosines of all objects."""
        own, exchanged = features['own'], features['exchanged']
        centre = own.mean(axis=0)
        values = np.stack(
            [cosines(own, exchanged), cosines(own - centre, exchanged - centre)], axis=1
        )
        numbers = statistics(values[:, 0], 'raw') | statistics(values[:, 1], 'centred')
        return values, {f'/{name}': value for name, value in numbers.items()} | {
            '/objects': len(values)
        }
