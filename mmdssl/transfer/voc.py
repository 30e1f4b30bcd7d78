"""PASCAL VOC detection: mmdet's data set that looks at the whole folder before it starts.

Imported when a config asks for ``mmdssl.VOCDetection``.
"""

from pathlib import Path
from typing import Any

from mmdet.datasets import VOCDataset

from mmdssl.core.text_files import read_text
from mmdssl.registry import DATASETS

__all__ = ['VOCDetection']


@DATASETS.register_module()
class VOCDetection(VOCDataset):
    """``mmdet.VOCDataset`` with a check of the folder and difficult objects in training.

    Args:
        keep_difficult: Train on objects marked difficult as on others (detectron2, and with
            it the MoCo protocol); mmdet ignores them. They are ignored in testing always.
        **kwargs: As mmdet, e.g. ``data_root='data/VOCdevkit/'``,
            ``ann_file='VOC2007/ImageSets/Main/trainval.txt'``,
            ``data_prefix=dict(sub_data_root='VOC2007/')``.

    Raises:
        FileNotFoundError: If the list of images or annotations of listed images are missing.
    """

    def __init__(self, *, keep_difficult: bool = True, **kwargs: Any) -> None:
        self.keep_difficult = keep_difficult
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """The images of the list with their objects; see the class for errors."""
        listing = Path(self.ann_file)
        if not listing.is_file():
            raise FileNotFoundError(
                f'VOC: no list of images {listing}; unpack VOCtrainval and VOCtest of 2007 and '
                'VOCtrainval of 2012 into one VOCdevkit folder and set data_root to it'
            )
        names = read_text(listing).split()
        if names != listing.read_text(encoding='utf-8', errors='replace').split():
            raise ValueError(
                f'VOC: {listing} begins with a byte-order mark or is no UTF-8, which mmdet does '
                'not read: save it as UTF-8 without a mark'
            )
        folder = Path(self.sub_data_root) / self.ann_subdir
        missing = [name for name in names if not (folder / f'{name}.xml').is_file()]
        if missing:
            raise FileNotFoundError(
                f'VOC: {len(missing)} of {len(names)} images of {listing} have no annotations, '
                f'the first is {folder / missing[0]}.xml; unpack the archive again, whole'
            )
        return super().load_data_list()

    def _parse_instance_info(self, raw_ann_info: Any, minus_one: bool = True) -> list[dict]:
        instances = super()._parse_instance_info(raw_ann_info, minus_one=minus_one)
        # Small boxes are marked by the same flag, where the config asks for that.
        if self.keep_difficult and not self.test_mode and self.bbox_min_size is None:
            instances = [{**instance, 'ignore_flag': 0} for instance in instances]
        return instances
