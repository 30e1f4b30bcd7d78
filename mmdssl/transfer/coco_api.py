"""COCO files for mmdet: read with our checks, and what boxes alone do not say computed.

mmdet reads annotation files through pycocotools, which wants ``area`` and ``iscrowd`` of every box,
takes ids as they come (an annotation of id 0 is never matched), and lets outlines that leave their
image crash its C code. Our commands give mmdet's data set and metric these two classes instead.
"""

from typing import Any

import mmdet.evaluation.metrics.coco_metric as coco_metric
from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO

from mmdssl.core.text_files import read_json
from mmdssl.datasets.coco_file import parse_coco
from mmdssl.datasets.outlines import clip_polygon, parse_outline

__all__ = ['CheckedCOCO', 'CompletedCOCO', 'use_checked_coco']


class CompletedCOCO(COCO):
    """mmdet's ``COCO`` over a file in which boxes may be all there is.

    Missing are filled in: ``area`` (of the outline or else of the box) and ``iscrowd`` (0).
    Annotations are numbered anew where ids are missing, doubled, or 0.

    Args:
        annotation_file: The json file; None for an empty index.

    Raises:
        ValueError: The file is no json.
    """

    def __init__(self, annotation_file: str | None = None) -> None:
        super().__init__(None)
        if annotation_file is None:
            return
        self.dataset = self.content(annotation_file)
        self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def content(self, path: str) -> dict[str, Any]:
        """The file with what was missing."""
        content = read_json(path)
        if not isinstance(content, dict):
            raise ValueError(f'{path} is no COCO file: its top level is not a dict')
        _complete(content.get('annotations') or [])
        return content


class CheckedCOCO(CompletedCOCO):
    """The same, every entry checked, and outlines brought into one form near their image.

    Raises:
        ValueError: The file is no COCO file, or an entry of it cannot be used.
    """

    def content(self, path: str) -> dict[str, Any]:
        """The file with what was missing."""
        content = read_json(path)
        if isinstance(content, dict) and content.get('annotations') is None:
            return content  # images of a test set
        found = parse_coco(path, content)
        for number, entry in enumerate(found.annotations):
            height, width = found.shapes[found.owner[number]].tolist()
            try:
                outline = parse_outline(entry.get('segmentation'), (height, width))
            except ValueError as error:
                raise ValueError(f'{found.where(number)} {error}') from error
            if isinstance(outline, list):
                near = (clip_polygon(polygon, (height, width)) for polygon in outline)
                entry['segmentation'] = [p.tolist() for p in near if len(p) >= 6]
            entry['iscrowd'] = 0
        objects = {id(entry) for entry in found.annotations}
        for entry in content['annotations']:
            if id(entry) not in objects:
                entry['iscrowd'] = 1
        _complete(content['annotations'])
        return content


def _complete(annotations: list[dict[str, Any]]) -> None:
    ids = [entry.get('id') for entry in annotations]
    if not all(type(number) is int and number > 0 for number in ids) or len(set(ids)) < len(ids):
        for number, entry in enumerate(annotations, start=1):
            entry['id'] = number
    for entry in annotations:
        entry.setdefault('iscrowd', 0)
        if entry.get('area') is None and 'bbox' in entry:
            entry['area'] = _area(entry)


def _area(entry: dict[str, Any]) -> float:
    """Area in pixels: of polygons by their corners, without an outline of the box."""
    outline = entry.get('segmentation')
    if isinstance(outline, list) and outline and isinstance(outline[0], list):
        total = 0.0
        for polygon in outline:
            xs, ys = polygon[::2], polygon[1::2]
            turns = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
            total += abs(sum(x * other_y - other_x * y for x, y, other_x, other_y in turns)) / 2
        return float(total)
    return float(entry['bbox'][2] * entry['bbox'][3])


def use_checked_coco() -> None:
    """From now on mmdet's data sets and its metric read COCO files through these classes."""
    CocoDataset.COCOAPI = CheckedCOCO
    coco_metric.COCO = CompletedCOCO
