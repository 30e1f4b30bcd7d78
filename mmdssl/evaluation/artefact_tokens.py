"""Artefact tokens: patches whose token is many times longer than the others.

Large vision transformers turn some patches of smooth background into scratch space: their norm
before the final norm jumps, their own content is lost ("Vision Transformers Need Registers", arXiv
2309.16588). Behind the final norm all tokens are about equally long and nothing is to be seen.
The published cut of 150 was read off DINOv2's giant; a cut relative to the median carries over to
other networks, so both are reported.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mmdssl.evaluation.bootstrap import ratio_interval
from mmdssl.evaluation.gathering import GatheredMetric
from mmdssl.evaluation.tokens import token_of
from mmdssl.registry import METRICS

__all__ = ['ArtefactTokens', 'artefact_tokens', 'neighbour_cosines']

_QUANTILES = (50, 95, 99, 99.9)


def artefact_tokens(
    norms: Float[np.ndarray, 'n p'], *, cutoff: float = 150.0, relative: float = 3.0
) -> dict[str, float]:
    """How many tokens are too long, and how long they are.

    Args:
        norms: (N, P) of the patches of N images.
        cutoff: Norm above which a token is an artefact, as published for DINOv2.
        relative: The same in medians of all norms.

    Returns:
        ``share_cutoff`` and ``share_relative`` (percent of the tokens), ``median``,
        ``max_over_median`` and the quantiles ``q50``, ``q95``, ``q99``, ``q99.9``.

    Raises:
        ValueError: If there is no norm.
    """
    values = np.asarray(norms, np.float64)
    if not values.size:
        raise ValueError('artefact_tokens got no tokens')
    median = float(np.median(values))
    numbers = {
        'share_cutoff': 100 * float((values > cutoff).mean()),
        'share_relative': 100 * float((values > relative * median).mean()),
        'median': median,
        'max_over_median': float(values.max()) / median if median > 0 else float('nan'),
    }
    quantiles = np.percentile(values, _QUANTILES)
    return numbers | {f'q{q:g}': float(v) for q, v in zip(_QUANTILES, quantiles, strict=True)}


def neighbour_cosines(features: Float[Any, 'c h w']) -> Float[np.ndarray, 'h w']:
    """Mean cosine of a patch with the two to four that share an edge with it.

    Args:
        features: (C, h, w), patch embeddings.

    Returns:
        (h, w) float64; NaN for a single patch, which has no neighbour.
    """
    values = np.asarray(features, np.float64)
    lengths = np.linalg.norm(values, axis=0)
    unit = values / np.where(lengths > 0, lengths, 1)
    sums, counts = np.zeros(unit.shape[1:]), np.zeros(unit.shape[1:])
    for here, there in (
        (np.s_[..., 1:, :], np.s_[..., :-1, :]),
        (np.s_[..., :, 1:], np.s_[..., :, :-1]),
    ):
        cosines = (unit[here] * unit[there]).sum(axis=0)
        for side in (here, there):
            sums[side] += cosines
            counts[side] += 1
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


# Norms of patches (h*w,) and of tokens in front (P,), and the patches' cosines with their
# neighbours (h*w,), empty where there is no patch embedding.
_Item = tuple[Float[np.ndarray, ' n'], Float[np.ndarray, ' p'], Float[np.ndarray, ' _']]


@METRICS.register_module()
class ArtefactTokens(GatheredMetric):
    """Norms of patch tokens before the final norm, and the share of outliers among them.

    Reads of every sample ``patch_tokens`` and ``prefix_tokens`` of :class:`FeatureExtractor` with
    ``tokens=['prenorm']``, of a vision transformer ``'embedding'`` beside it; samples without are
    passed over. All images have one grid.

    Reports what :func:`artefact_tokens` gives, over all images; with patch embeddings
    ``neighbour_cosine_outliers`` (NaN without any) and ``neighbour_cosine_others``, by the relative
    cut; with tokens in front of the patches ``prefix<i>_norm``, the mean of each (0: the class
    token where there is one, then registers); ``images``; with ``bootstrap`` the ends
    ``share_relative_low``, ``share_relative_high`` and those of ``share_cutoff``.

    Args:
        place: Place of the network that is read, see :mod:`mmdssl.evaluation.tokens`: also a block.
        cutoff: See :func:`artefact_tokens`.
        relative: See there.
        tag: Only images of this part of a :class:`TaggedConcat`; None: all.
        bootstrap: Sets of images drawn for the intervals, 0 for none.
        confidence: Of the intervals.
        seed: Of these draws.
        prefix: Of the reported names.

    Raises:
        ValueError: If a cut is not positive; on evaluation, if no image had tokens.
    """

    default_prefix = 'artefacts'

    def __init__(
        self,
        *,
        place: str = 'prenorm',
        cutoff: float = 150.0,
        relative: float = 3.0,
        tag: str | None = None,
        bootstrap: int = 0,
        confidence: float = 0.95,
        seed: int = 0,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        if not (cutoff > 0 and relative > 0):
            raise ValueError(
                f'ArtefactTokens: cutoff={cutoff} and relative={relative} must be positive'
            )
        self.place, self.cutoff, self.relative = place, cutoff, relative
        self.tag = tag
        self.bootstrap, self.confidence, self.seed = bootstrap, confidence, seed
        self.norms: Float[np.ndarray, 'n p'] = np.zeros((0, 0))

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the norms; one item an image."""
        for sample in data_samples:
            tokens = sample.get('patch_tokens')
            item: _Item | tuple[()] = ()
            if tokens is not None and self.tag in (None, sample.get('tag')):
                cells = token_of(tokens, self.place, self).double()
                prefix: Tensor | None = (sample.get('prefix_tokens') or {}).get(self.place)
                front = np.zeros(0) if prefix is None else prefix.double().norm(dim=1).numpy()
                beside = tokens.get('embedding')
                cosines = np.zeros(0) if beside is None else neighbour_cosines(beside).ravel()
                item = (cells.norm(dim=0).flatten().numpy(), front, cosines)
            self.results.append(item)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Statistics over all tokens; ``norms`` (n, patches) stay with the main process."""
        items: list[_Item] = [item for item in results if item]
        if not items:
            raise ValueError(
                f'ArtefactTokens: none of {len(results)} samples has patch tokens: set '
                f'extractor=dict(tokens=[{self.place!r}]) in the config'
            )
        if len({len(item[0]) for item in items}) > 1:
            raise ValueError('ArtefactTokens: images differ in their patches: bring them to a size')
        self.norms = norms = np.stack([item[0] for item in items])
        numbers = artefact_tokens(norms, cutoff=self.cutoff, relative=self.relative)
        limits = dict(cutoff=self.cutoff, relative=self.relative * numbers['median'])
        for name, limit in limits.items() if self.bootstrap else ():
            ends = ratio_interval(
                100.0 * (norms > limit).sum(axis=1),
                np.full(len(norms), norms.shape[1]),
                samples=self.bootstrap,
                seed=self.seed,
                confidence=self.confidence,
            )
            numbers[f'share_{name}_low'], numbers[f'share_{name}_high'] = ends
        cosines = np.stack([item[2] for item in items])
        if cosines.size:
            long = norms > limits['relative']
            for name, chosen in (('outliers', long), ('others', ~long)):
                mean = float(cosines[chosen].mean()) if chosen.any() else float('nan')
                numbers[f'neighbour_cosine_{name}'] = mean
        for index, mean in enumerate(np.stack([item[1] for item in items]).mean(axis=0)):
            numbers[f'prefix{index}_norm'] = float(mean)
        numbers['images'] = len(norms)
        return numbers
