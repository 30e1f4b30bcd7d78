"""In-context segmentation as a metric of a data set with a bank and queries.

:mod:`mmdssl.evaluation.in_context` has the rule; this gathers what it needs.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from mmdssl.evaluation.in_context import predict_maps
from mmdssl.evaluation.labelled_patches import pixels_per_patch
from mmdssl.evaluation.map_scores import score_maps
from mmdssl.evaluation.patch_memory import (
    STORAGES,
    PatchMemory,
    Storage,
    Void,
    memory_draws,
    patches_per_image,
    remember,
)
from mmdssl.evaluation.patch_retrieval import PatchRetrieval
from mmdssl.registry import METRICS

__all__ = ['InContextSegmentation']


@METRICS.register_module()
class InContextSegmentation(PatchRetrieval):
    """In-context dense retrieval (Hummingbird), see :mod:`mmdssl.evaluation.in_context`.

    Reports ``miou`` (predictions as they are) and ``miou_hungarian`` (predicted classes matched to
    true ones first, as the public code does), means over all classes in which one that does not
    occur counts 0, ``accuracy`` of pixels, ``num_memory``, ``num_images`` and ``num_classes``; with
    ``bootstrap`` also ``miou_low`` and ``miou_high``.

    Patches of the bank are chosen as they come, so that no more than the memory is held:
    ``memory_size * (bytes of storage * C + classes)``, 8.1 GB for 10,240,000 patches of a ViT-S/14
    in half precision and 21 classes. Features of the queries are held in the same type.

    After an evaluation the main process holds ``confusion`` (classes, classes) by true and
    predicted class and the first ``keep_maps`` predicted ``maps``.

    Args:
        memory_size: Patches, as many of every image of the bank, see
            :mod:`mmdssl.evaluation.patch_memory`; None: all. Published: 10,240,000 and less.
        k: Neighbours.
        temperature: Of the softmax over their cosines.
        void: 'background' or 'leave_out': what pixels of 255 in the bank are.
        storage: 'float32', 'float16' or 'bfloat16', see
            :func:`mmdssl.evaluation.patch_memory.rounding`.
        keep_maps: Predicted maps to keep.
        **settings: Of :class:`PatchRetrieval`.
    """

    default_prefix = 'in_context'

    def __init__(
        self,
        *,
        memory_size: int | None = 10_240_000,
        k: int = 30,
        temperature: float = 0.02,
        void: Void = 'background',
        storage: Storage = 'float32',
        keep_maps: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        for name, value, known in (
            ('void', void, ('background', 'leave_out')),
            ('storage', storage, tuple(STORAGES)),
        ):
            if value not in known:
                raise ValueError(f'{name}={value!r} must be one of {", ".join(map(repr, known))}')
        self.memory_size, self.k, self.temperature = memory_size, k, temperature
        self.void: Void = void
        self.storage: Storage = storage
        self.keep_maps = keep_maps
        self.confusion: Int64[np.ndarray, 'c c'] = np.zeros((0, 0), np.int64)
        self.maps: list[UInt8[np.ndarray, '_ _']] = []

    def draws(self, position: int, patches: int) -> Float32[np.ndarray, ' n']:
        """Uniform draws that choose the patches of image ``position`` of the data."""
        return memory_draws(self.seed, position, patches)

    def keep(
        self,
        tag: str,
        features: Float[Tensor, 'h w c'],
        labels: UInt8[np.ndarray, '_ _'],
        position: int,
    ) -> tuple:
        """Chosen patches of the bank; whole maps of queries."""
        if tag == self.query:
            return tag, features.to(STORAGES[self.storage]), labels
        pixels = pixels_per_patch([features], [labels])
        height, width = features.shape[:2]
        rows, counts = remember(
            features,
            labels,
            num_classes=self.num_classes,
            keep=patches_per_image(self.memory_size, self._bank_images()),
            draws=self.draws(position, height * width),
            void=self.void,
            storage=self.storage,
        )
        return tag, rows, counts, pixels

    def _bank_images(self) -> int:
        sizes = (self.dataset_meta or {}).get('sizes')
        if sizes is None and self.memory_size is not None:
            raise ValueError(
                f'memory_size={self.memory_size} is divided among the images of the bank, whose '
                "number the data set does not tell: use TaggedConcat, give its metainfo 'sizes' by "
                'tag, or set memory_size=None'
            )
        return sum((sizes or {}).get(tag, 0) for tag in self.banks)

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Retrieve and score; on the main process only."""
        bank = self.items_of(results, self.banks)
        features, maps = zip(*self.items_of(results, (self.query,)), strict=True)
        pixels = {item[2] for item in bank}
        if len(pixels) > 1:
            raise ValueError(
                f'patches of {sorted(pixels)} pixels in one bank: bring all to one size'
            )
        memory = PatchMemory.of(
            [item[:2] for item in bank], pixels=pixels.pop(), size=self.memory_size
        )
        predictions = predict_maps(
            features,
            [map_.shape for map_ in maps],
            memory,
            k=self.k,
            temperature=self.temperature,
            device=self.device,
        )
        self.maps = []

        def kept() -> Iterator[UInt8[np.ndarray, '_ _']]:
            for prediction in predictions:
                if len(self.maps) < self.keep_maps:
                    self.maps.append(prediction)
                yield prediction

        scores, self.confusion = score_maps(
            kept(),
            maps,
            num_classes=self.num_classes,
            ignored=self.ignored,
            bootstrap=self.bootstrap,
            seed=self.seed,
        )
        counted = dict(num_memory=len(memory), num_images=len(maps), num_classes=self.num_classes)
        return scores | counted
