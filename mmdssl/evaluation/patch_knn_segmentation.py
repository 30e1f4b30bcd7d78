"""Patch k-NN segmentation as a metric of a data set with a bank and queries.

:mod:`mmdssl.evaluation.patch_knn` has the rule; this gathers what it needs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from mmdssl.evaluation.labelled_patches import LabelledPatches
from mmdssl.evaluation.patch_knn import PatchDistance, evaluate_parts, split_tuning
from mmdssl.evaluation.patch_retrieval import PatchRetrieval
from mmdssl.registry import METRICS

__all__ = ['PatchKNNSegmentation']


@METRICS.register_module()
class PatchKNNSegmentation(PatchRetrieval):
    """Patch k-NN segmentation (CAPI), see :mod:`mmdssl.evaluation.patch_knn`.

    Reports what :func:`mmdssl.evaluation.patch_knn.patch_knn_segmentation` returns. All features
    are held in float32, once: 5.2 million patches (ADE20K at 224 px) of a ViT-L/14 take 21 GB, of a
    ViT-S/14 8 GB, and their labels 1 GB.

    Args:
        neighbours: Numbers k, of which the best is taken.
        distances: Of 'cosine' and 'l2', of which the best is taken.
        tune: Tag of the images that k and distance are chosen on; None: ``tune_share`` of the bank,
            at random. They join the memory in the end.
        tune_share: See ``tune``. Published: a tenth. With one setting there is no tuning part.
        **settings: Of :class:`PatchRetrieval`.
    """

    default_prefix = 'patch_knn'

    def __init__(
        self,
        *,
        neighbours: Sequence[int] = (1, 3, 10, 30),
        distances: Sequence[PatchDistance] = ('cosine', 'l2'),
        tune: str | None = None,
        tune_share: float = 0.1,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if tune in (*self.banks, self.query):
            raise ValueError(f'tune={tune!r} is bank or query already: give it a part of its own')
        self.neighbours, self.distances = tuple(neighbours), tuple(distances)
        self.tune, self.tune_share = tune, tune_share

    @property
    def tags(self) -> tuple[str, ...]:
        """Parts that are read."""
        return super().tags if self.tune is None else (*super().tags, self.tune)

    def keep(
        self,
        tag: str,
        features: Float[Tensor, 'h w c'],
        labels: UInt8[np.ndarray, '_ _'],
        position: int,
    ) -> tuple:
        """Patches with their pixels' labels."""
        patches = LabelledPatches.of([features], [labels])
        return tag, patches.features[0], patches.labels[0]

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Standardise, tune, predict, score; on the main process only."""
        train = self._part(results, self.banks)
        tune = None
        if self.tune is not None:
            tune = self._part(results, (self.tune,))
        elif len(self.neighbours) * len(self.distances) > 1:
            train, tune = train.split(split_tuning(len(train.labels), self.tune_share, self.seed))
        query = self._part(results, (self.query,))
        results.clear()  # what is standardised takes the place of what came
        scores, _ = evaluate_parts(
            train,
            tune,
            query,
            num_classes=self.num_classes,
            neighbours=self.neighbours,
            distances=self.distances,
            ignored=self.ignored,
            bootstrap=self.bootstrap,
            seed=self.seed,
            device=self.device,
        )
        return scores

    def _part(self, results: list[tuple], tags: Sequence[str]) -> LabelledPatches:
        features, labels = zip(*self.items_of(results, tags), strict=True)
        sizes = {rows.shape[1] for rows in labels}
        if len(sizes) > 1:
            raise ValueError(f'patches of {sorted(sizes)} pixels: bring all images to one size')
        return LabelledPatches(list(features), list(labels))
