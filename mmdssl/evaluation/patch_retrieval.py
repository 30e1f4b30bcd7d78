"""Metrics that label the patches of some images by those of others: what they share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from mmengine import dist
from torch import Tensor

from mmdssl.evaluation.gathering import GatheredMetric
from mmdssl.evaluation.labelled_patches import check_images

__all__ = ['PatchRetrieval']


class PatchRetrieval(GatheredMetric):
    """Base of metrics that label the patches of queries by those of a bank.

    Reads of every sample ``tag``, ``patch_features`` (C, h, w), which :class:`FeatureExtractor`
    adds, and ``gt_seg_map`` (H, W), a multiple of (h, w). The classes are those of the data set.

    Args:
        bank: Tag of the images whose labels are known, or several tags (passes of augmentation).
        query: Tag of the images that are predicted.
        ignored: Classes that are not scored, beside pixels of 255.
        bootstrap: Sets of query images drawn for the 95 % interval of ``miou``, 0 for none.
        seed: Of all draws.
        device: Where to search, ``None`` for a GPU where there is one.
        prefix: Of the reported names.

    Raises:
        ValueError: If a tag is on both sides; while samples are read, if a map does not fit its
            photo or a label is no class; on evaluation, if a side is empty.
    """

    def __init__(
        self,
        *,
        bank: str | Sequence[str] = 'bank',
        query: str = 'query',
        ignored: Sequence[int] = (),
        bootstrap: int = 0,
        seed: int = 0,
        device: str | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        self.banks = (bank,) if isinstance(bank, str) else tuple(bank)
        self.query = query
        if query in self.banks:
            raise ValueError(
                f'bank and query are both {query!r}: every patch would be its own nearest '
                'neighbour; use two parts of the data'
            )
        if bootstrap < 0:
            raise ValueError(f'bootstrap={bootstrap} must not be negative')
        self.ignored, self.bootstrap = tuple(ignored), bootstrap
        self.seed, self.device = seed, device

    @abstractmethod
    def keep(
        self,
        tag: str,
        features: Float[Tensor, 'h w c'],
        labels: UInt8[np.ndarray, '_ _'],
        position: int,
    ) -> tuple:
        """The item of an image of bank or queries.

        Args:
            tag: Its part.
            features: (h, w, C).
            labels: (H, W) uint8.
            position: In the data set.
        """

    @property
    def tags(self) -> tuple[str, ...]:
        """Parts that are read."""
        return (*self.banks, self.query)

    @property
    def num_classes(self) -> int:
        """Classes of the data set."""
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(
                f'{type(self).__name__} needs the classes of the data set: use SemanticFolder or '
                'CocoSemantic, or give the data set metainfo with classes'
            )
        return len(classes)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep one item an image, in order; an empty one for images of other parts."""
        for sample in data_samples:
            try:
                tag = sample['tag']
                if tag not in self.tags:
                    self.results.append(())
                    continue
                features, labels = sample['patch_features'], sample['gt_seg_map']
            except KeyError as error:
                raise ValueError(
                    f'{type(self).__name__} reads samples of a TaggedConcat, packed by '
                    f'PackSemantic, with the features of FeatureExtractor; this has no {error}'
                ) from error
            # Samples are dealt out in turns, so that draws do not depend on the processes.
            position = len(self.results) * dist.get_world_size() + dist.get_rank()
            cells = features.detach().float().cpu().permute(1, 2, 0)  # (C, h, w) -> (h, w, C)
            map_ = labels.cpu().numpy()
            check_images(
                [cells],
                [map_],
                num_classes=self.num_classes,
                side='data',
                ignored=self.ignored,
                first=position,
            )
            self.results.append(self.keep(tag, cells, map_, position))

    def items_of(self, results: list[tuple], tags: Sequence[str]) -> list[tuple]:
        """Items of some parts, without their tag.

        Raises:
            ValueError: If there are none.
        """
        found = [item[1:] for item in results if item and item[0] in tags]
        if not found:
            raise ValueError(
                f'no images tagged {", ".join(map(repr, tags))} for {self.prefix}: check the tags '
                'of the evaluation data'
            )
        return found
