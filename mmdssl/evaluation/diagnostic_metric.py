"""What measures on diagnostics share: gathering per layer, statistics, and keeping every value."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mmdssl.evaluation.gathering import GatheredMetric

__all__ = ['DiagnosticMetric', 'cosines', 'statistics']

_Item = dict[str, dict[str, np.ndarray]]  # layer -> name -> array of one sample


class DiagnosticMetric(GatheredMetric):
    """Base of the metrics that read ``diagnostic_features`` of :class:`DiagnosticExtractor`.

    Names of the numbers are ``<prefix>/<layer>/<statistic>``. After an evaluation the main process
    holds in ``values`` what the numbers summarise, by layer an array whose first axis is the
    sample, in the order of the data.

    Args:
        save: NPZ file for ``values``, an array a layer; None: none.
        prefix: Of the reported names.

    Raises:
        ValueError: On evaluation, if there are no samples, or they are of another diagnostic.
    """

    #: Data set that makes the samples, for the message where they come from another one.
    diagnostic = ''

    def __init__(
        self,
        *,
        save: str | Path | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        self.save = save
        self.values: dict[str, np.ndarray] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """One item a sample: mmengine cuts what pads a distributed run off the end."""
        for sample in data_samples:
            try:
                features = {
                    layer: one.float().cpu().numpy().astype(np.float64)
                    for layer, one in sample['diagnostic_features'].items()
                }
                self.results.append(
                    {layer: self.read(one, sample) for layer, one in features.items()}
                )
            except KeyError as error:
                raise ValueError(
                    f'{type(self).__name__} reads samples of {self.diagnostic} with the '
                    f'features of DiagnosticExtractor; this sample has no {error}'
                ) from error

    def compute_metrics(self, results: list[_Item]) -> dict[str, float]:
        """Numbers of every layer; on the main process only."""
        if not results:
            raise ValueError(
                f'{type(self).__name__} got no samples: the diagnostic data set is empty'
            )
        numbers: dict[str, float] = {}
        self.values = {}
        for layer in results[0]:
            names = results[0][layer]
            if any(item[layer][n].shape != names[n].shape for item in results for n in names):
                raise ValueError(
                    f'{type(self).__name__}: the samples differ in their views or ratios; evaluate '
                    'one diagnostic data set at a time'
                )
            stacked = {name: np.stack([item[layer][name] for item in results]) for name in names}
            values, found = self.measure(stacked)
            self.values[layer] = values
            for name, value in found.items():
                row, _, column = name.rpartition('/')  # '@0.5/mean' is a row of its own
                numbers[f'{layer}{row}/{column}'] = float(value)
        if self.save is not None:
            Path(self.save).parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(self.save, allow_pickle=False, **self.values)
        return numbers

    @abstractmethod
    def read(
        self, features: Float[np.ndarray, 'v p c'], sample: Mapping[str, Any]
    ) -> dict[str, Float[np.ndarray, '...']]:
        """What is kept of a sample's features (V, P, C) float64 of one layer, by name."""

    @abstractmethod
    def measure(
        self, features: Mapping[str, Float[np.ndarray, 'n ...']]
    ) -> tuple[Float[np.ndarray, 'n ...'], dict[str, float]]:
        """Values by sample, and statistics; ``features``: what was read, stacked by sample."""


def cosines(
    first: Float[np.ndarray, '*#n c'], second: Float[np.ndarray, '*#n c']
) -> Float[np.ndarray, '...']:
    """Cosines in [-1, 1] of vectors along the last axis, the others broadcast; 0 with a null one.

    Args:
        first: (..., C).
        second: (..., C).
    """
    norms = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    products = (first * second).sum(axis=-1)
    return np.clip(products / np.where(norms > 0, norms, 1), -1, 1)


def statistics(values: Float[np.ndarray, 'n ...'], name: str = '') -> dict[str, float]:
    """Mean, median and standard error of values (n,) or (n, k) of n independent samples.

    The k values of one sample are not independent, so the error is that of their averages. It is
    NaN for a single sample.

    Args:
        values: One or k values a sample.
        name: Of the statistics: '' gives 'mean', 'median', 'se'; 'x' gives 'x', 'x_median', 'x_se'.
    """
    per_sample = values.reshape(len(values), -1).mean(axis=1)
    error = np.nan
    if len(per_sample) > 1:
        error = per_sample.std(ddof=1) / len(per_sample) ** 0.5
    before = f'{name}_' if name else ''
    return {
        name or 'mean': float(per_sample.mean()),
        f'{before}median': float(np.median(values)),
        f'{before}se': float(error),
    }
