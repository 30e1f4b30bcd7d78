"""A trained backbone by its file, and what it makes of images: for whoever wants features.

In two lines:

    backbone = mmdssl.load_backbone('run')  # or a checkpoint, or a converted file
    maps, vectors = mmdssl.features(backbone, ['a.jpg', 'b.jpg'])
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mmdssl.conversion.backbone_config import backbone_config
from mmdssl.conversion.config_text import read_config_text
from mmdssl.core.hub import local_file
from mmdssl.core.locating import Source, find
from mmdssl.core.newest import newest_checkpoint
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.datasets.channels import ChannelReader
from mmdssl.datasets.decode import decode_image
from mmdssl.datasets.transforms.views import resize_image
from mmdssl.engine.channels import reader_of
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.evaluation.guards import evaluating
from mmdssl.models.utils.pretrained import load_part

__all__ = ['Features', 'LoadedBackbone', 'features', 'load_backbone']

_SIZE = 224  # pixels, where nothing says another one
# Of a run's backbone, what belongs to its training.
_TRAINING = ('init_cfg', 'drop_path_rate', 'with_cp', 'frozen_stages')
_STATISTICS = ('mean', 'std')


class Features(NamedTuple):
    """What a backbone makes of B images.

    Attributes:
        maps: (B, C, h, w) float32 on the CPU: the last map, of a vision transformer the patch
            tokens behind the final norm (a 16th of the side), of a ResNet the last stage (a 32nd).
        vectors: (B, C) float32 on the CPU: the mean of the map; not normalised.
    """

    maps: Tensor
    vectors: Tensor


class LoadedBackbone(FeatureExtractor):
    """A backbone in evaluation mode without gradients, with what it was trained with.

    Args:
        backbone: The network, as ``backbone`` afterwards.
        data_preprocessor: Normalises images; as ``data_preprocessor`` afterwards.
        image_size: Side in pixels that images of files are brought to.
        reader: Of its images, where they are no photos.
    """

    def __init__(
        self,
        *,
        backbone: Any,
        data_preprocessor: Any = None,
        image_size: int,
        reader: ChannelReader | None = None,
    ) -> None:
        super().__init__(backbone=backbone, data_preprocessor=data_preprocessor, upsample_c4=False)
        self.image_size = image_size
        self.reader = reader
        self.requires_grad_(False)
        self.eval()


def load_backbone(
    file_or_run: str | Path, *, source: Source = 'auto', device: str | None = None
) -> LoadedBackbone:
    """The backbone of a run or a file, complete, with the normalisation it was trained with.

    A checkpoint of a run knows its network, its mean and standard deviation, and how images of n
    channels are read. Of a converted file
    the network is read off the tensors (a ViT with heads of 64 channels, DINOv2 and DINOv3 among
    them, a ResNet with the usual strides, a ConvNeXt) and ImageNet's statistics are taken, which
    all methods here are trained with.

    Args:
        file_or_run: Folder of a run (its newest whole checkpoint is taken), a checkpoint, a file
            that ``mmdssl convert`` has written under names of mmpretrain, mmdet or mmseg, or an
            address of the hub, ``hf://ORG/NAME``.
        source: ``'teacher'``, ``'student'``, or ``'auto'``: the evaluation backbone.
        device: Where it computes; default: a GPU where there is one.

    Raises:
        FileNotFoundError: If there is no such file, or no checkpoint in the folder.
        ValueError: If the file does not hold the whole of a backbone, or more than plain data.
    """
    path = _file_of(local_file(file_or_run))
    content = load_checkpoint_file(path)
    settings = _settings(content)
    model = settings.get('model') or {}
    if isinstance(model.get('backbone'), Mapping):
        network = {k: v for k, v in model['backbone'].items() if k not in _TRAINING}
    else:
        network = backbone_config(find(content, path, source)[1], path)
    preprocessor = model.get('data_preprocessor') or settings.get('data_preprocessor') or {}
    statistics = {key: preprocessor[key] for key in _STATISTICS if key in preprocessor}
    channels = network.get('in_channels', 3)
    if channels != 3 and len(statistics.get('mean', ())) != channels:
        raise ValueError(
            f'{path} takes images of {channels} channels, and does not say how they are read and '
            'normalised: give the checkpoint of its run'
        )
    try:
        loaded = LoadedBackbone(
            backbone=network,
            data_preprocessor=dict(type='MultiViewPreprocessor', **statistics),
            image_size=_image_size(network, settings),
            reader=reader_of(settings),
        )
    except KeyError as error:  # a class of somebody's project
        raise ValueError(
            f'{path} has a backbone {network.get("type")}, which is not registered: import its '
            'module first'
        ) from error
    load_part(loaded.backbone, path, source=source)
    return loaded.to(device or ('cuda' if torch.cuda.is_available() else 'cpu'))


def features(
    backbone: nn.Module,
    images: Tensor | Sequence[Any],
    *,
    size: int | None = None,
    batch_size: int = 32,
) -> Features:
    """Dense maps and vectors of images.

    Args:
        backbone: Of :func:`load_backbone`; any other backbone of mmpretrain or torchvision's ResNet
            is taken as trained with ImageNet's mean and standard deviation.
        images: A list of files and PIL images in any mixture, or a tensor (B, 3, H, W) of RGB:
            uint8 from 0 to 255, or floating point from 0 to 1. Not normalised: that is done here.
            Of a backbone of n channels: files as it was trained on, or a tensor (B, n, H, W).
        size: Side in pixels to which each image is resized, its proportions lost, as O-KNN does;
            default: of files and PIL images that of the training views, of tensors their own.
        batch_size: Images at a time.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If an image cannot be read, or the images are of another form.
    """
    extractor = backbone
    if not isinstance(extractor, FeatureExtractor):
        extractor = LoadedBackbone(backbone=backbone, image_size=_side(backbone))
    if batch_size < 1 or (size is not None and size < 1):
        raise ValueError(f'size={size}, batch_size={batch_size}: give whole numbers above 0')
    device = next(extractor.parameters()).device
    maps = []
    with evaluating(extractor):
        own_size, reader = (
            getattr(extractor, 'image_size', _SIZE),
            getattr(extractor, 'reader', None),
        )
        channels = len(getattr(extractor.data_preprocessor, 'mean', '...'))
        for part in _batches(images, size, batch_size, own_size, channels, reader):
            _check_patches(extractor.backbone, part)
            batch = dict(inputs=part.to(device))
            inputs = extractor.data_preprocessor(batch, False)['inputs']
            maps.append(extractor(inputs, mode='tensor').cpu())
    joined = torch.cat(maps)
    return Features(joined, joined.mean(dim=(2, 3)))  # (B, C, h, w) -> (B, C)


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    found, passed = newest_checkpoint(path)
    if found is None:
        why = f': {" ".join(passed)}' if passed else ''
        raise FileNotFoundError(f'no checkpoint in {path}{why or ": give the folder of a run"}')
    return found


def _settings(content: Any) -> dict[str, Any]:
    """The config in a checkpoint, as data."""
    meta = content.get('meta') if isinstance(content, Mapping) else None
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    return read_config_text(text) if isinstance(text, str) else {}


def _image_size(network: Mapping[str, Any], settings: Mapping[str, Any]) -> int:
    """Side of the training views in pixels: that of a ViT's table, or the largest crop."""
    if isinstance(network.get('img_size'), int):
        return network['img_size']
    data = (settings.get('train_dataloader') or {}).get('dataset') or {}
    return max(_sides(data.get('pipeline')), default=_SIZE)


def _sides(value: Any) -> Iterator[int]:
    """Sizes of all crops within a pipeline."""
    if isinstance(value, Mapping):
        if 'Resize' in str(value.get('type')) and isinstance(value.get('size'), int):
            yield value['size']
        for entry in value.values():
            yield from _sides(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _sides(entry)


def _side(backbone: nn.Module) -> int:
    size = getattr(backbone, 'img_size', _SIZE)
    return int(size[0]) if isinstance(size, (list, tuple)) else int(size)  # type: ignore[arg-type]


def _batches(
    images: Any,
    size: int | None,
    number: int,
    own_size: int,
    channels: int,
    reader: ChannelReader | None,
) -> Iterator[Tensor]:
    """Batches (b, C, H, W), uint8 or float in [0, 1]."""
    if isinstance(images, Tensor):
        _check_tensor(images, channels)
        for part in images.split(number):
            if size is not None:
                floats = part.float() / 255 if part.dtype == torch.uint8 else part.float()
                part = torch.nn.functional.interpolate(
                    floats, (size, size), mode='bilinear', antialias=True, align_corners=False
                ).clamp(0, 1)
            yield part
        return
    single = isinstance(images, (str, Path, Image.Image))
    listed = [images] if single else list(images)
    if not listed:
        raise ValueError('there are no images: give a list of files or PIL images, or a tensor')
    for start in range(0, len(listed), number):
        pixels = [_pixels(one, size or own_size, reader) for one in listed[start : start + number]]
        # (b, H, W, C) -> (b, C, H, W)
        yield torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()


def _pixels(image: Any, size: int, reader: ChannelReader | None) -> np.ndarray:
    """(size, size, 3) uint8 RGB, or (size, size, C) of a reader."""
    if isinstance(image, Image.Image) and reader is None:
        array = np.asarray(image.convert('RGB'))
    elif isinstance(image, (str, Path)):
        if not Path(image).is_file():
            raise FileNotFoundError(f'there is no image {image}')
        array = decode_image(image) if reader is None else reader(image)
    else:
        raise ValueError(
            f'an image is a {type(image).__name__}: give files, PIL images, or one tensor '
            '(B, 3, H, W)'
            if reader is None
            else f'an image is a {type(image).__name__}: give files of {reader.channels} channels, '
            f'or one tensor (B, {reader.channels}, H, W)'
        )
    return resize_image(np.array(array), (size, size))  # a copy: PIL's is read-only


def _check_tensor(images: Tensor, channels: int) -> None:
    if images.ndim != 4 or images.shape[1] != channels or not len(images):
        raise ValueError(
            f'images have the shape {tuple(images.shape)}: a tensor is (B, {channels}, H, W), with '
            'B of at least 1'
        )
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point():
        raise ValueError(f'images are {images.dtype}: give uint8, or floating point from 0 to 1')
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f'floating-point images reach from {low:.3g} to {high:.3g}: give them from 0 to 1, not '
            'normalised, or as uint8'
        )


def _check_patches(backbone: nn.Module, images: Tensor) -> None:
    patch = getattr(backbone, 'patch_size', None)
    height, width = images.shape[2:]
    if isinstance(patch, int) and (height % patch or width % patch):
        raise ValueError(
            f'images of {height} x {width} are no whole patches of {patch} px: give size='
            f'{max(height // patch, 1) * patch}'
        )
