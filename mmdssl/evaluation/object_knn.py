"""O-KNN: can the class of an object be read off its nearest neighbours in feature space?

"Mind Your Augmentation" (ICLR 2024), App. E.3.2: objects of the training images form the bank,
those of the validation images ask; k = 20, top-1 and top-5. On images whose background was
exchanged (:class:`DisturbBackground`) the same metric is O-KNN-D. The paper leaves the vote open;
the default is DINO's, weights exp(s / 0.07).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdssl.evaluation.bootstrap import bootstrap_shares, percentile_interval
from mmdssl.evaluation.gathering import GatheredMetric
from mmdssl.evaluation.knn import Vote, knn_search, rank_classes
from mmdssl.registry import METRICS

__all__ = ['ObjectKNN']

_TOP = 5
_SCORES = ('top1', 'top5')

# One item per image: (whether it belongs to the bank, features (n, C), labels (n,)), or nothing.
# Not None: mmengine drops Nones before it cuts the padding off.
_Item = tuple[bool, Float[np.ndarray, '_ c'], Int[np.ndarray, ' _']] | tuple[()]


@METRICS.register_module()
class ObjectKNN(GatheredMetric):
    """k-nearest-neighbour classification of objects across two tagged parts of the data.

    Reads of every sample ``tag``, ``object_features`` (n, C) of unit length and
    ``gt_instances.labels`` (n,). Several metrics may read the same features: give each its tags
    and its ``prefix``, e.g. a clean bank with disturbed queries.

    Reports ``top1`` and ``top5`` in percent of the query objects and the numbers of objects,
    ``num_bank`` and ``num_query``. A class without a single vote is never among the five. With
    ``bootstrap`` also ``top1_low``, ``top1_high``, ``top5_low`` and ``top5_high``.

    Memory: the main process holds every feature once, in the blocks in which it came, and those
    of queries twice while they ask. COCO's 330,000 vectors of a ResNet-50 are 2.7 GB, a second bank
    (O-KNN-D) as many again, but metrics over the same tags share theirs.

    After an evaluation the main process holds ``confusion`` (C, C), the numbers of query objects
    by class (row) and top-1 prediction (column), ``hits`` (n, 2) and ``counts`` (n,), the top-1
    and top-5 hits and the objects of every query image with objects, in the order of the data,
    and ``per_class()``.

    Args:
        bank: Tag of the images whose labels are known.
        query: Tag of the images whose objects ask.
        k: Neighbours; cut with a warning where the bank has fewer objects.
        vote: 'weighted' (exp(s / temperature)) or 'majority', see :func:`rank_classes`.
        temperature: Of the weighted vote.
        tile: Queries x bank objects compared at once, the bound of the memory.
        device: Where to search, ``None`` for a GPU where there is one.
        bootstrap: Sets of query images drawn for the intervals, 0 for none.
        confidence: Of the intervals.
        seed: Of these draws.
        prefix: Of the reported names.

    Raises:
        ValueError: If ``bank`` and ``query`` are one tag (every object would find itself); on
            evaluation if either has no objects, or a label no class.
    """

    default_prefix = 'oknn'

    def __init__(
        self,
        *,
        bank: str = 'bank',
        query: str = 'query',
        k: int = 20,
        vote: Vote = 'weighted',
        temperature: float = 0.07,
        tile: tuple[int, int] = (1024, 8192),
        device: str | None = None,
        bootstrap: int = 0,
        confidence: float = 0.95,
        seed: int = 0,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        if bank == query:
            raise ValueError(
                f'bank and query are both {bank!r}: every object would be its own nearest '
                'neighbour; use two parts of the data'
            )
        if bootstrap < 0 or not 0 < confidence < 1:
            raise ValueError(
                f'ObjectKNN: bootstrap={bootstrap} must not be negative and '
                f'confidence={confidence} lie between 0 and 1'
            )
        if vote not in ('weighted', 'majority'):
            raise ValueError(f"vote={vote!r} must be 'weighted' or 'majority'")
        self.bank, self.query = bank, query
        self.k, self.vote, self.temperature = k, vote, temperature
        self.tile, self.device = tile, device
        self.bootstrap, self.confidence, self.seed = bootstrap, confidence, seed
        self.confusion: np.ndarray = np.zeros((0, 0), np.int64)
        self.hits: np.ndarray = np.zeros((0, len(_SCORES)), np.int64)
        self.counts: np.ndarray = np.zeros(0, np.int64)
        self._hits_by_class: np.ndarray = np.zeros((0, len(_SCORES)), np.int64)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep features and labels: one item per image, in order.

        One item also where an image is of neither part: mmengine cuts the samples that pad a
        distributed run off the end of the gathered list, so its positions must be the data set's.
        """
        for sample in data_samples:
            item: _Item = ()
            if sample['tag'] in (self.bank, self.query):
                features = sample['object_features']
                labels = sample['gt_instances']['labels']
                item = (
                    sample['tag'] == self.bank,
                    features.detach().float().cpu().numpy(),
                    labels.cpu().numpy(),
                )
            self.results.append(item)

    def compute_metrics(self, results: list[_Item]) -> dict[str, float]:
        """Search and vote over all objects; on the main process only."""
        bank, bank_labels = self._gather(results, bank=True)
        asking, truth = self._gather(results, bank=False)
        queries = torch.cat(asking)
        num_classes = self._num_classes(torch.cat([bank_labels, truth]))
        similarities, index = knn_search(queries, bank, self.k, tile=self.tile, device=self.device)
        predicted = rank_classes(
            similarities,
            bank_labels[index],
            num_classes,
            vote=self.vote,
            temperature=self.temperature,
            top=_TOP,
        )
        right = predicted == truth[:, None]  # (Q, 5)
        hits = torch.stack([right[:, 0], right.any(dim=1)], dim=1).long()  # (Q, 2)
        self._keep(results, truth, predicted[:, 0], hits, num_classes)
        shares = 100 * hits.double().mean(dim=0)
        scores = dict(zip(_SCORES, shares.tolist(), strict=True))
        return scores | self._intervals() | dict(num_bank=len(bank_labels), num_query=len(queries))

    def per_class(self) -> list[dict[str, Any]]:
        """A row for every class with query objects, by number of objects, of the last evaluation.

        ``class``, ``objects``, ``top1`` and ``top5`` in percent of them, ``taken_for``: the wrong
        class named most often ('' where there is none), ``share_taken``: how often, in percent.
        """
        classes = (self.dataset_meta or {}).get('classes', ())
        objects = self.confusion.sum(axis=1)
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        rows = []
        for label in np.argsort(-objects, kind='stable'):
            count = int(objects[label])
            if not count:
                break
            other = int(wrong[label].argmax())
            top1, top5 = (100 * self._hits_by_class[label] / count).tolist()
            rows.append(
                {
                    'class': classes[label],
                    'objects': count,
                    'top1': top1,
                    'top5': top5,
                    'taken_for': classes[other] if wrong[label, other] else '',
                    'share_taken': 100 * float(wrong[label, other]) / count,
                }
            )
        return rows

    def _keep(
        self,
        results: list[_Item],
        truth: Int[Tensor, ' q'],
        first: Int[Tensor, ' q'],
        hits: Int[Tensor, 'q 2'],
        num_classes: int,
    ) -> None:
        """Confusion, and hits by image and by class; ``first`` (Q,) are the top-1 predictions."""
        pairs = torch.bincount(truth * num_classes + first, minlength=num_classes**2)
        self.confusion = pairs.view(num_classes, num_classes).numpy()
        by_class = torch.zeros(num_classes, len(_SCORES), dtype=torch.long)
        self._hits_by_class = by_class.index_add_(0, truth, hits).numpy()
        counts = np.array([len(item[2]) for item in results if item and not item[0]])
        self.counts = counts[counts > 0]
        starts = np.concatenate([[0], self.counts.cumsum()[:-1]])
        self.hits = np.add.reduceat(hits.numpy(), starts, axis=0)

    def _intervals(self) -> dict[str, float]:
        """Ends of the intervals in percent; none without bootstrap."""
        if not self.bootstrap:
            return {}
        shares = 100 * bootstrap_shares(
            self.hits, self.counts, samples=self.bootstrap, seed=self.seed
        )
        ends = {}
        for name, drawn in zip(_SCORES, shares.T, strict=True):
            ends[f'{name}_low'], ends[f'{name}_high'] = percentile_interval(drawn, self.confidence)
        return ends

    def _gather(
        self, results: list[_Item], *, bank: bool
    ) -> tuple[list[Float[Tensor, '_ c']], Int[Tensor, ' m']]:
        """Features (n_i, C) by image and labels (sum n_i,) of a side, in the data set's order."""
        items = [item for item in results if item and item[0] == bank]
        if not any(len(item[2]) for item in items):
            side, tag = ('bank', self.bank) if bank else ('query', self.query)
            raise ValueError(
                f'no objects in {len(items)} images tagged {tag!r}, the {side} of {self.prefix}: '
                'check the annotation file and the tags of the evaluation data'
            )
        labels = np.concatenate([item[2] for item in items])
        return [torch.from_numpy(item[1]) for item in items], torch.from_numpy(labels)

    def _num_classes(self, labels: Int[Tensor, ' m']) -> int:
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError("the evaluation data set names no 'classes' in its metainfo")
        if labels.min() < 0 or labels.max() >= len(classes):
            raise ValueError(
                f'labels run from {labels.min()} to {labels.max()}, but there are {len(classes)} '
                'classes: labels must be 0 to number of classes - 1'
            )
        return len(classes)
