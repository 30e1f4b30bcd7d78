"""Label maps: read or drawn, resized beside their image, packed.

The map is ``results['gt_seg_map']``, (H, W) uint8, 255 being ignored, and its name stands in
``results['seg_fields']``: what mmseg's transforms read and move. Those and these mix in one
pipeline.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.structures import DataSample

from mmdssl.datasets.image_header import ImageDecodeError, open_picture
from mmdssl.datasets.transforms.mask_transform import parse_size
from mmdssl.datasets.transforms.region_collaborative_cutout import check_choice
from mmdssl.datasets.transforms.views import RandomResizedCropWithBoxes, resize_image
from mmdssl.registry import TRANSFORMS

__all__ = [
    'LoadSemanticMap',
    'MapFromObjects',
    'PackSemantic',
    'RandomResizedCropWithMap',
    'ResizeMap',
    'ResizeWithMap',
    'draw_objects',
]

_IGNORED = 255


@TRANSFORMS.register_module()
class LoadSemanticMap(BaseTransform):
    """Read ``seg_map_path`` (:class:`SemanticFolder`): grey values or palette indices.

    Raises:
        ImageDecodeError: The file cannot be read.
        ValueError: It holds colours, fractions, labels above 255 or above those of the data set,
            is stored with losses, or has another size than the image.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the map."""
        path = results['seg_map_path']
        try:
            with open_picture(path) as file:
                kind, labels = file.format, np.array(file)
        except ImageDecodeError:
            raise
        # Pillow's plugins raise whatever their parsers meet.
        except Exception as error:
            raise ImageDecodeError(path, str(error) or type(error).__name__) from error
        if labels.ndim != 2:
            raise ValueError(
                f'{path} holds colours {labels.shape}, not labels: convert it to one channel of '
                'class numbers'
            )
        if labels.shape != results['img'].shape[:2]:
            raise ValueError(
                f'{path} has height x width {labels.shape}, its image {results["img"].shape[:2]}: '
                + (
                    'the map is that of the stored picture, which an EXIF entry turns; turn the '
                    'map, or set LoadImage(exif=False)'
                    if labels.shape == results['img'].shape[1::-1]
                    else 'it is the label map of another image'
                )
            )
        labels = _labels(path, kind, labels)
        if results.get('reduce_zero_label'):
            # 0 -> 255 by wrapping round; 255 was ignored before and stays so.
            labels = np.where(labels == _IGNORED, _IGNORED, labels - 1).astype(np.uint8)
        if results.get('label_map') is not None:
            table = np.arange(256, dtype=np.uint8)
            for value, label in results['label_map'].items():
                table[value] = label
            labels = table[labels]
        classes = results.get('num_classes')
        if classes is not None:
            beyond = labels[(labels >= classes) & (labels != _IGNORED)]
            if beyond.size:
                raise ValueError(
                    f'{path} gives label {beyond.max()}, but the data set has {classes} classes, '
                    f'labels 0 to {classes - 1}: correct classes, reduce_zero_label or the map'
                )
        return _with_map(results, labels)


def draw_objects(results: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """The objects of ``gt_masks`` painted in a value each, 0 elsewhere; the smaller one on top.

    Args:
        results: With ``img`` and ``gt_masks`` of N objects.
        values: (N,) whole numbers.

    Returns:
        (H, W) int32.
    """
    masks = results['gt_masks'].decode()  # (N, H, W)
    drawn = np.zeros(results['img'].shape[:2], np.int32)
    for index in np.argsort(-masks.sum(axis=(1, 2)), kind='stable'):
        drawn[masks[index]] = values[index]
    return drawn


@TRANSFORMS.register_module()
class MapFromObjects(BaseTransform):
    """Draw ``gt_masks`` of :class:`CocoSemantic`: label + 1 inside, 0 elsewhere.

    Where objects overlap the smaller one is on top.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the map; before the image changes its geometry."""
        labels = draw_objects(results, results['gt_labels'] + 1)
        return _with_map(results, labels.astype(np.uint8))


@TRANSFORMS.register_module()
class ResizeMap(BaseTransform):
    """Resize the map alone, nearest pixel: probes are scored on maps coarser than the image.

    Args:
        size: Side of the square, or (height, width).
        as_original: State this size as ``ori_shape``, to which mmseg brings its predictions.
    """

    def __init__(self, *, size: int | Sequence[int], as_original: bool = True) -> None:
        self.size = parse_size(size, 'size')
        self.as_original = as_original

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize."""
        labels = results['gt_seg_map'][..., None]  # (H, W) -> (H, W, 1)
        results['gt_seg_map'] = resize_image(labels, self.size, 'nearest')[..., 0]
        if self.as_original:
            results['ori_shape'] = self.size
        return results


@TRANSFORMS.register_module()
class ResizeWithMap(BaseTransform):
    """Squash the image to one size, and the map to its own.

    Args:
        size: Side of the square, or (height, width), of the image.
        map_size: The same of the map, nearest pixel; None: ``size``.
        interpolation: Of the image, 'bilinear' or 'bicubic', with antialias.
    """

    def __init__(
        self,
        *,
        size: int | Sequence[int],
        map_size: int | Sequence[int] | None = None,
        interpolation: str = 'bilinear',
    ) -> None:
        self.size = parse_size(size, 'size')
        self.interpolation = check_choice('interpolation', interpolation, ('bilinear', 'bicubic'))
        self.map = ResizeMap(size=self.size if map_size is None else map_size)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize both."""
        results['img'] = resize_image(results['img'], self.size, self.interpolation)
        results['img_shape'] = self.size
        return self.map.transform(results)


@TRANSFORMS.register_module()
class RandomResizedCropWithMap(RandomResizedCropWithBoxes):
    """A random crop of image and map, each resized to its own size.

    Args:
        size: Side of the square, or (height, width), of the image; bilinear with antialias.
        map_size: The same of the map, nearest pixel; None: ``size``.
        scale: Range of the crop's area as a share of the image; Leopart's probes: (0.8, 1),
            Hummingbird's memory: (0.5, 2), of which what is above 1 is drawn again.
        **settings: Of :class:`RandomResizedCropWithBoxes`.
    """

    MOST = 2.0

    def __init__(
        self,
        *,
        size: int | tuple[int, int],
        map_size: int | Sequence[int] | None = None,
        scale: tuple[float, float] = (0.8, 1.0),
        interpolation: str = 'bilinear',
        **settings: Any,
    ) -> None:
        super().__init__(size=size, scale=scale, interpolation=interpolation, **settings)
        self.map = ResizeMap(size=self.size if map_size is None else map_size, as_original=False)

    def crop(self, results: dict[str, Any], window: tuple[int, int, int, int]) -> dict[str, Any]:
        """The same for a given crop (left, top, width, height)."""
        left, top, width, height = window
        labels = results['gt_seg_map'][top : top + height, left : left + width]
        results = super().crop(results, window)
        results['gt_seg_map'] = labels
        return self.map.transform(results)


@TRANSFORMS.register_module()
class PackSemantic(BaseTransform):
    """Pack an image with its map for :class:`FeatureExtractor` and the metrics of label maps.

    Gives ``inputs``, a (3, H, W) uint8 RGB tensor, and ``data_samples``, a ``DataSample`` with
    ``gt_seg_map`` (h, w) uint8 and, where there is one, ``gt_instance_map``.

    Args:
        meta_keys: Entries of the results that go along where present.
    """

    def __init__(
        self, *, meta_keys: Sequence[str] = ('sample_idx', 'img_id', 'img_path', 'img_shape', 'tag')
    ) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack."""
        image = np.ascontiguousarray(results['img'].transpose(2, 0, 1))  # (H, W, 3) -> (3, H, W)
        sample = DataSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
        )
        for name in ('gt_seg_map', 'gt_instance_map'):
            if name in results or name == 'gt_seg_map':
                pixels = torch.from_numpy(np.ascontiguousarray(results[name]))
                sample.set_field(pixels, name, dtype=torch.Tensor)
        return dict(inputs=torch.from_numpy(image), data_samples=sample)


def _labels(path: str, kind: str | None, labels: np.ndarray) -> np.ndarray:
    """Labels as bytes, refused where that would change them."""
    if kind in ('JPEG', 'MPO'):
        raise ValueError(
            f'{path} is a JPEG, whose losses blur labels into others: store label maps as PNG'
        )
    if labels.dtype.kind not in 'bui':
        raise ValueError(
            f'{path} holds {labels.dtype} numbers, not labels: store whole numbers 0 to 255 as PNG'
        )
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most > _IGNORED:
        raise ValueError(
            f'{path} holds labels {least} to {most}, but maps are bytes, 0 to 254 and 255 for '
            'ignored pixels: number the classes anew'
        )
    return labels.astype(np.uint8)


def _with_map(results: dict[str, Any], labels: np.ndarray) -> dict[str, Any]:
    results['gt_seg_map'] = labels
    results.setdefault('seg_fields', []).append('gt_seg_map')
    return results
