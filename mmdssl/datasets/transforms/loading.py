"""The first transform of a pipeline: read an image file as RGB."""

from typing import Any

from mmcv.transforms import BaseTransform

from mmdssl.datasets.decode import decode_image
from mmdssl.registry import TRANSFORMS

__all__ = ['LoadImage']


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read ``results['img_path']`` as **RGB** (mmcv's loader gives BGR).

    Where the data set gives an ``img_source`` (`ImageShards`), its bytes are those of the image.

    Added keys: ``img`` (H, W, 3) uint8 RGB, ``img_shape`` and ``ori_shape`` (H, W).

    Where the data set states the annotated size in ``ann_shape`` (H, W), the image must have it:
    boxes drawn on the unturned picture do not fit the turned one.

    Args:
        exif: Turn the image as its EXIF entry says.
        background: Grey level 0..255 under transparent pixels.

    Raises:
        ImageDecodeError: The file cannot be read. `ImageFolder` then takes another one.
        ValueError: The image has another size than its annotation says.
    """

    def __init__(self, *, exif: bool = True, background: int = 255) -> None:
        if not 0 <= background <= 255:
            raise ValueError(f'background must be a grey level 0..255, got {background}')
        self.exif = exif
        self.background = background

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the image; see the class."""
        source = results.get('img_source', results['img_path'])
        image = decode_image(source, exif=self.exif, background=self.background)
        shape = image.shape[:2]
        annotated = results.get('ann_shape', shape)
        if shape != tuple(annotated):
            turned = shape == tuple(annotated)[::-1]
            remedy = self.advice() if turned else 'correct the annotation file'
            raise ValueError(
                f'{results["img_path"]} has height x width {shape[0]} x {shape[1]}, but its '
                f'annotation says {annotated[0]} x {annotated[1]}: boxes would not fit; {remedy}'
            )
        results['img'] = image
        results['img_shape'] = shape
        results['ori_shape'] = shape
        return results

    def advice(self) -> str:
        """What to do where the annotated size is that of the picture turned by 90 degrees."""
        if not self.exif:
            return 'set LoadImage(exif=True): the annotations are those of the turned picture'
        return (
            'the stated size is that of the stored picture, which its EXIF entry turns. If boxes '
            'were drawn on the upright picture, as most programs show it, exchange height and '
            'width in the annotation file; if on the stored one, set LoadImage(exif=False)'
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(exif={self.exif}, background={self.background})'
