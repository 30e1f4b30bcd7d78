"""Semantic maps out of a COCO json: what is no object is background, class 0."""

from pathlib import Path
from typing import Any

from mmdssl.core.wording import printable
from mmdssl.datasets.coco_objects import CocoObjects
from mmdssl.registry import DATASETS

__all__ = ['CocoSemantic']

_MOST = 254  # labels of objects: 1 to 254; 0 is background, 255 ignored


@DATASETS.register_module()
class CocoSemantic(CocoObjects):
    """:class:`CocoObjects` for segmentation: classes are 'background' and the file's.

    :class:`MapFromObjects` draws the map. Where crowds are no objects (they have no own outline),
    their pixels are background.

    Args:
        keep_empty: Keep images without an object, which are background all over.
        **settings: Of :class:`CocoObjects`.
    """

    def __init__(self, *, ann_file: str | Path, keep_empty: bool = True, **settings: Any) -> None:
        super().__init__(ann_file=ann_file, keep_empty=keep_empty, with_masks=True, **settings)
        if len(self.classes) > _MOST:
            raise ValueError(
                f'{printable(self.ann_file)} has {len(self.classes)} classes, but a label map of '
                f'bytes holds {_MOST} beside background and ignored pixels: use fewer categories'
            )

    @property
    def metainfo(self) -> dict[str, Any]:
        """``classes`` (names by label, 'background' first) and ``ann_file``."""
        return {**super().metainfo, 'classes': ('background', *self.classes)}

    def get_data_info(self, index: int) -> dict[str, Any]:
        """The results dict of image ``index``, for mmseg's transforms ``seg_fields`` among it."""
        return dict(super().get_data_info(index), reduce_zero_label=False, seg_fields=[])
