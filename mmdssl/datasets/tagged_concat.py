"""Several data sets in one, each sample carrying the name of its part.

An evaluation that needs more than one set (the bank and the queries of a k-NN, each clean and
disturbed) then is one data loader, one pass and any number of metrics that read the tags.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from torch.utils.data import Dataset

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.registry import DATASETS

__all__ = ['TaggedConcat']


@DATASETS.register_module()
class TaggedConcat(Dataset):
    """Concatenation of named parts.

    A sample runs through ``pipeline``, then through its part's own one. They see two more entries
    in its results: ``tag``, the part's name, and ``dataset``, the part itself, for transforms that
    need other images of it (:class:`DisturbBackground`).

    Parts that differ in their pipeline only share one data set, so that the annotations of COCO
    are read and held once for the clean and the disturbed bank.

    Args:
        datasets: Configs of the parts by tag, in order. The type must offer ``get_data_info``,
            ``__len__`` and ``metainfo`` as mmengine's ``BaseDataset`` and :class:`CocoObjects` do.
        pipeline: First transforms of all parts.
        data_root: Passed on to every part that names no root of its own.

    Raises:
        ValueError: If there is no part, or the parts' classes differ.

    An unreadable image raises :class:`ImageDecodeError`: an evaluation must see every image.
    """

    def __init__(
        self,
        *,
        datasets: Mapping[str, dict],
        pipeline: Sequence[dict] = (),
        data_root: str | None = None,
    ) -> None:
        if not datasets:
            raise ValueError('TaggedConcat needs at least one part in datasets')
        self.tags = tuple(datasets)
        self.datasets: list[Any] = []
        self.pipelines: list[Any] = []
        built: list[tuple[dict, Any]] = []
        for config in datasets.values():
            config = dict(config)
            own = config.pop('pipeline', ())
            if data_root is not None:
                config.setdefault('data_root', data_root)
            part = next((dataset for known, dataset in built if known == config), None)
            if part is None:
                part = DATASETS.build({**config, 'pipeline': []})
                built.append((config, part))
            self.datasets.append(part)
            self.pipelines.append(build_pipeline([*pipeline, *own]))
        self._ends = list(accumulate(len(part) for part in self.datasets))
        self._metainfo = self._common_metainfo()

    def _common_metainfo(self) -> dict:
        classes = self.datasets[0].metainfo.get('classes')
        for tag, part in zip(self.tags, self.datasets, strict=True):
            if part.metainfo.get('classes') != classes:
                raise ValueError(
                    f'the classes of {tag!r} differ from those of {self.tags[0]!r}: labels would '
                    'not mean the same; use annotation files with the same categories'
                )
        sizes = dict(zip(self.tags, map(len, self.datasets), strict=True))
        return {'classes': classes, 'tags': self.tags, 'sizes': sizes}

    @property
    def metainfo(self) -> dict:
        """``classes``, the names by label that all parts share, ``tags``, and ``sizes`` by tag."""
        return self._metainfo

    def __len__(self) -> int:
        return self._ends[-1]

    def _locate(self, index: int) -> tuple[int, int]:
        """Part and index within it of sample ``index``."""
        if not 0 <= index < len(self):
            raise IndexError(f'sample {index} of {len(self)}')
        part = bisect_right(self._ends, index)
        return part, index - (self._ends[part - 1] if part else 0)

    def get_data_info(self, index: int) -> dict:
        """Raw results of sample ``index``, its tag and its data set included."""
        part, inner = self._locate(index)
        results = self.datasets[part].get_data_info(inner)
        return {**results, 'tag': self.tags[part], 'dataset': self.datasets[part]}

    def __getitem__(self, index: int) -> dict:
        results = self.get_data_info(index)
        return self.pipelines[self._locate(index)[0]](results)
