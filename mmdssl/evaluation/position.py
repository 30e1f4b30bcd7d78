"""Position bias: how much of a feature is about the place instead of the picture?

D3SSL, Sec. 3.2 and Fig. 4: the same picture stands in all cells of a 3 x 3 grid. MCS, the mean
cosine similarity between the feature of the centre cell and those of the eight others, is 1 for a
network that knows no places. Zero padding tells them apart, the more the deeper the layer. Beside
the mean stand corner and edge cells apart: corners touch two borders of the canvas.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from mmdssl.evaluation.diagnostic_metric import DiagnosticMetric, cosines, statistics
from mmdssl.registry import METRICS

__all__ = ['PositionalSimilarity']


@METRICS.register_module()
class PositionalSimilarity(DiagnosticMetric):
    """Mean cosine similarity of the centre cell with the others (MCS), layer by layer.

    Reads samples of :class:`ImageGrids`. Reports ``mean``, ``median`` and ``se`` over pictures,
    ``corners`` and ``edges`` (means of those cells alone: ``edges`` are all that are no corner)
    and ``num``. ``values`` holds the cosines (n, grid**2 - 1) in reading order.

    Args: see :class:`DiagnosticMetric`.

    Raises:
        ValueError: If the regions of a sample form no square grid with a centre.
    """

    default_prefix = 'mcs'
    diagnostic = 'ImageGrids'

    def read(
        self, features: Float[np.ndarray, 'v p c'], sample: Mapping[str, Any]
    ) -> dict[str, Float[np.ndarray, '...']]:
        """Cosines (grid**2 - 1,) of one picture's cells with their centre."""
        count = features.shape[1]
        side = round(count**0.5)
        if len(features) != 1 or side * side != count or side % 2 == 0 or side < 3:
            raise ValueError(
                f'PositionalSimilarity: {len(features)} views of {count} regions form no square '
                'grid with a centre; use the samples of ImageGrids'
            )
        cells, centre = features[0], count // 2
        return dict(cosines=cosines(np.delete(cells, centre, axis=0), cells[centre]))

    def measure(
        self, features: Mapping[str, Float[np.ndarray, 'n ...']]
    ) -> tuple[Float[np.ndarray, 'n ...'], dict[str, float]]:
        """Statistics over the pictures."""
        found = features['cosines']  # (n, grid**2 - 1)
        side = round((found.shape[1] + 1) ** 0.5)
        corner = np.zeros(found.shape[1], bool)
        corner[[0, side - 1, -side, -1]] = True  # the missing centre lies between them
        apart = dict(corners=found[:, corner].mean(), edges=found[:, ~corner].mean())
        return found, dict(**statistics(found), **apart, num=len(found))
