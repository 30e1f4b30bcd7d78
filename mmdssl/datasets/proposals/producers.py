"""Who finds the boxes: settings with a name, a picture in, proposals out.

``numba`` is the search SoCo used (`selective_search`): segments label for label those of
scikit-image, computed here by Numba; scikit-image itself is not needed. ``opencv`` is the search
of OpenCV's contrib modules with the same numbers, for machines without Numba: one segmentation of
the RGB picture, all four similarities with equal weights. Its boxes differ somewhat: 58 % of our
proposals have one of its proposals over IoU 0.7. It drops repeated boxes by itself, so that each of
its boxes counts once.
"""

# opencv is no faster: 1.16 times the time of ours, the median of 24 COCO photos on one core.

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from mmdssl.datasets.channels import CHANNEL_EXTENSIONS, FalseColours
from mmdssl.datasets.decode import IMAGE_EXTENSIONS, decode_image
from mmdssl.datasets.image_header import Source, picture_shape
from mmdssl.datasets.proposals.filters import ProposalFilter, Rule
from mmdssl.datasets.proposals.selective_search import selective_search

__all__ = ['ProposalSettings']

# Parameters that only files of n channels have.
_OF_CHANNELS = ('channels', 'channel_range', 'channels_axis', 'nodata', 'colours')


@dataclass(frozen=True, kw_only=True)
class ProposalSettings:
    """How proposals are made; the defaults are SoCo's.

    Attributes:
        producer: 'numba' (scikit-image's segments, computed by Numba) or 'opencv'.
        scale: Scale of the segmentation; the larger, the larger the segments.
        sigma: Smoothing before it, in pixels.
        min_size: Smallest segment in pixels.
        filter: Which boxes become proposals.
        exif: Turn pictures as their EXIF entry says, as `LoadImage` does by default.
        channels: How images of n channels become the pictures that are searched; None: photos.

    Raises:
        ValueError: A setting makes no sense.
        ModuleNotFoundError: The producer is not installed.
    """

    producer: Literal['numba', 'opencv'] = 'numba'
    scale: float = 300
    sigma: float = 0.9
    min_size: int = 100
    filter: ProposalFilter = field(default_factory=ProposalFilter)
    exif: bool = True
    channels: FalseColours | None = None

    def __post_init__(self) -> None:
        if self.producer not in ('numba', 'opencv'):
            raise ValueError(f"producer must be 'numba' or 'opencv', got {self.producer!r}")
        if self.scale <= 0 or self.sigma < 0 or self.min_size < 1:
            raise ValueError(
                'scale must be positive, sigma not negative and min_size at least 1, got '
                f'{self.scale}, {self.sigma} and {self.min_size}'
            )
        if self.producer == 'opencv':
            _opencv_segmentation()

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> 'ProposalSettings':
        """Settings from what `parameters` gives, or from some of it."""
        own: dict[str, Any] = dict(parameters)
        rule = {key: own.pop(key) for key in ('min_side', 'max_aspect', 'size') if key in own}
        if 'size' in rule:
            rule['size'] = tuple(rule['size'])
        channels = FalseColours.of(own)
        own = {key: value for key, value in own.items() if key not in _OF_CHANNELS}
        return cls(**own, filter=ProposalFilter(**rule), channels=channels)

    def parameters(self) -> dict[str, Any]:
        """All settings flat, as they are kept in the proposals file; no channels for photos."""
        flat = asdict(replace(self, channels=None))
        numbers, _ = flat.pop('filter'), flat.pop('channels')
        channels = {} if self.channels is None else self.channels.parameters()
        return {**flat, **numbers, 'size': list(numbers['size']), **channels}

    def expected(self) -> dict[str, Any]:
        """What a file of these settings states: the same, and of photos no channels."""
        return {'channels': None, **self.parameters()}

    @property
    def extensions(self) -> Sequence[str]:
        """Endings of the files that are searched."""
        return IMAGE_EXTENSIONS if self.channels is None else CHANNEL_EXTENSIONS

    def read(self, source: Source) -> npt.NDArray[np.uint8]:
        """The picture (H, W, 3) RGB that is searched of an image.

        Raises:
            ImageDecodeError: The file cannot be read.
        """
        if self.channels is None:
            return decode_image(source, exif=self.exif)
        return self.channels(source)

    def shape(self, source: Source) -> tuple[int, int] | None:
        """Its height and width by the header; None where the file is unreadable."""
        if self.channels is None:
            return picture_shape(source, exif=self.exif)
        return self.channels.shape(source)

    def versions(self) -> dict[str, str]:
        """Versions of what the boxes depend on."""
        if self.producer == 'opencv':
            return {'opencv': cv2.__version__}
        return {name: metadata.version(name) for name in ('numba', 'numpy', 'scipy')}

    def search(self, image: npt.NDArray[np.uint8]) -> npt.NDArray:
        """All boxes of a picture, before the filter.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (N, 4) integers x, y, w, h in pixels with w = largest x - smallest x.
        """
        if self.producer == 'opencv':
            return self._search_with_opencv(image)
        settings = dict(scale=self.scale, sigma=self.sigma, min_size=self.min_size)
        return selective_search(image, **settings).boxes  # type: ignore[arg-type]

    def propose(self, image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray, Rule]:
        """The proposals of a picture (M, 4) x, y, w, h, and the rule that gave them.

        See `ProposalFilter.apply`: boxes repeat; M = 0 stands for the whole picture.
        """
        height, width = image.shape[:2]
        if min(height, width) <= self.filter.min_side:  # no box can be large enough
            return np.zeros((0, 4), np.int64), Rule.WHOLE_IMAGE
        return self.filter.apply(self.search(image), height, width)

    def _search_with_opencv(self, image: npt.NDArray[np.uint8]) -> npt.NDArray:
        module = _opencv_segmentation()
        search = module.createSelectiveSearchSegmentation()
        search.setBaseImage(image)
        search.addImage(image)
        # OpenCV's scale is for pixels in 0..255 as floats, where scikit-image divides its own
        # by 255: the numbers mean the same.
        search.addGraphSegmentation(
            module.createGraphSegmentation(self.sigma, float(self.scale), self.min_size)
        )
        kinds = ('Color', 'Texture', 'Size', 'Fill')
        search.addStrategy(
            module.createSelectiveSearchSegmentationStrategyMultiple(
                *(
                    getattr(module, f'createSelectiveSearchSegmentationStrategy{kind}')()
                    for kind in kinds
                )
            )
        )
        boxes = np.asarray(search.process(), np.int64).reshape(-1, 4)
        boxes[:, 2:] -= 1  # its w counts pixels
        return boxes


def _opencv_segmentation() -> Any:
    """OpenCV's module ``ximgproc.segmentation``."""
    segmentation = getattr(getattr(cv2, 'ximgproc', None), 'segmentation', None)
    if segmentation is None:
        raise ModuleNotFoundError(
            "producer='opencv' needs OpenCV with its contrib modules, which this one "
            f'({cv2.__version__}) lacks: install opencv-contrib-python in place of opencv-python, '
            "or take producer='numba'"
        )
    return segmentation
