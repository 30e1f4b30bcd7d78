"""The first transform of a pipeline: read an image file, as RGB or with all its channels."""

from typing import Any, Literal

from mmcv.transforms import BaseTransform

from mmdssl.datasets.channels import ChannelReader, Scale
from mmdssl.datasets.decode import decode_image
from mmdssl.registry import TRANSFORMS

__all__ = ['LoadImage']


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read ``results['img_path']`` as **RGB** (mmcv's loader gives BGR).

    Where the data set gives an ``img_source`` (`ImageShards`), its bytes are those of the image.

    Added keys: ``img`` (H, W, 3) uint8 RGB, ``img_shape`` and ``ori_shape`` (H, W).

    With ``channels``, or where the data set brings a reader in ``img_reader`` (`ImageFolder` with
    ``channels``, which goes before), ``img`` is (H, W, C), float32 in [0, 1] or uint8.

    Where the data set states the annotated size in ``ann_shape`` (H, W), the image must have it:
    boxes drawn on the unturned picture do not fit the turned one.

    Args:
        exif: Turn the image as its EXIF entry says.
        background: Grey level 0..255 under transparent pixels.
        channels: Of every image; None: photos.
        scale: With ``channels``: see `ChannelReader`, as for the following. That of the training.
        dtype: With ``channels``: ``'float32'`` (default) or ``'uint8'``.
        channels_axis: With ``channels``: ``'first'`` or ``'last'``; None: the axis of that length.
        nodata: With ``channels``: a value that stands for none.

    Raises:
        ImageDecodeError: The file cannot be read. `ImageFolder` then takes another one.
        ValueError: The image has another size than its annotation says.
    """

    def __init__(
        self,
        *,
        exif: bool = True,
        background: int = 255,
        channels: int | None = None,
        scale: Scale | None = None,
        dtype: Literal['float32', 'uint8'] | None = None,
        channels_axis: Literal['first', 'last'] | None = None,
        nodata: float | None = None,
    ) -> None:
        if not 0 <= background <= 255:
            raise ValueError(f'background must be a grey level 0..255, got {background}')
        self.exif = exif
        self.background = background
        self.reader: ChannelReader | None = None
        if (channels is None) != (scale is None):
            raise ValueError(f'LoadImage: channels={channels} and scale={scale} go together')
        if channels is not None and scale is not None:
            self.reader = ChannelReader(
                channels=channels,
                scale=scale,
                dtype=dtype or 'float32',
                axis=channels_axis,
                nodata=nodata,
            )
        elif any(value is not None for value in (dtype, channels_axis, nodata)):
            raise ValueError('LoadImage: dtype, channels_axis and nodata need channels and scale')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the image; see the class."""
        source = results.pop('img_source', results['img_path'])
        reader = results.pop('img_reader', None) or self.reader
        if reader is None:
            image = decode_image(source, exif=self.exif, background=self.background)
        else:
            image = reader(source)
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
        own = f'exif={self.exif}, background={self.background}'
        return f'{type(self).__name__}({own}{f", reader={self.reader}" if self.reader else ""})'
