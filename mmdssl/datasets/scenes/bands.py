"""Scenes as a satellite might see them: five channels of 12 bits in a TIFF of 16.

Red, green and blue are those of the picture. The near infrared tells the classes apart by a
reflectance of their own, the fifth channel is a temperature: objects are warmer than the ground,
each by as much as it likes, and the ground has a slope. Neither follows from the colours.
"""

import io

import cv2
import numpy as np
import numpy.typing as npt

from mmdssl.datasets.scenes.layout import Layout, scene_generator
from mmdssl.datasets.scenes.spec import SceneSpec

__all__ = ['BANDS', 'encode_bands', 'to_bands']

#: What the channels are, in their order.
BANDS = ('red', 'green', 'blue', 'near infrared', 'temperature')
_MOST = 4095  # 12 bits
_NOISE = 12.0  # standard deviation, of these


def to_bands(
    image: npt.NDArray[np.uint8], spec: SceneSpec, layout: Layout, split: str, index: int
) -> npt.NDArray[np.uint16]:
    """Add the two channels that a picture lacks.

    Args:
        image: (S, S, 3) uint8 RGB, what `render` gave.
        spec: Parameters of the set.
        layout: Of the scene.
        split: Name of the split.
        index: Number of the scene.

    Returns:
        (5, S, S) uint16 in 0..4095, a function of the arguments alone.
    """
    random = scene_generator(spec, split, index, 'bands')
    labels = layout.semantic()  # (S, S), 0 is the ground
    # Of a class everywhere: 0.35 to 0.95 of the range, the ground below.
    spread = (np.arange(len(spec.classes)) * 0.618) % 1
    reflectance = np.concatenate(([0.2], 0.35 + 0.6 * spread)).astype(np.float32)
    ramp = np.linspace(0, 1, spec.size, dtype=np.float32)
    slope = random.uniform(-0.15, 0.15, 2)
    warmth = 0.3 + slope[0] * ramp[:, None] + slope[1] * ramp[None, :]  # (S, S)
    for number in range(len(layout.objects)):
        warmth = warmth + layout.mask(number) * random.uniform(0.1, 0.45)
    further = np.stack([reflectance[labels], cv2.blur(warmth.astype(np.float32), (3, 3))])
    colours = image.transpose(2, 0, 1).astype(np.float32) / 255  # (3, S, S)
    bands = _MOST * np.concatenate([colours, further])
    bands += _NOISE * random.standard_normal(bands.shape, np.float32)
    return np.clip(bands + 0.5, 0, _MOST).astype(np.uint16)


def encode_bands(bands: npt.NDArray[np.uint16]) -> bytes:
    """A TIFF with the channels one behind the other, compressed.

    Raises:
        ModuleNotFoundError: tifffile is not installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise ModuleNotFoundError(
            'scenes of 5 channels are written by the package tifffile, which is not installed: '
            "pip install 'mmdssl[formats]'"
        ) from error
    file = io.BytesIO()
    # Without a date or a programme's name: the same scene gives the same bytes.
    tifffile.imwrite(
        file,
        bands,
        photometric='minisblack',
        planarconfig='separate',
        compression='zlib',
        metadata=None,
        software=False,
    )
    return file.getvalue()
