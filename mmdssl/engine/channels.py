"""A config that trains on images of n channels, made whole: it names what their number asks for.

`ImageFolder(channels=5)`, or `ImageShards`, in a training config is enough. What follows of it is
written into the config, so that a run, its resumption, its measures and its checkpoint have one and
the same: the range of each channel (``scale``), mean and standard deviation, ``in_channels`` of the
backbone, and how images are loaded that are looked at in between.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mmdssl.datasets.channels import ChannelReader, ChannelStatistics
from mmdssl.datasets.transforms.loading import LoadImage
from mmdssl.registry import DATASETS, MODELS

__all__ = ['channels_of', 'complete_channels', 'reader_of', 'reader_settings', 'set_loading']

_READING = ('channels', 'scale', 'dtype', 'channels_axis', 'nodata')
# Data sets that compose images of those they read by themselves.
_COMPOSED = ('ObjectPairs', 'ObjectParts', 'ObjectBackgrounds', 'ImageGrids')
# In configs of photos these are the defaults, and not what somebody has measured.
_IMAGENET = [123.675, 116.28, 103.53]


def channels_of(config: Mapping[str, Any]) -> int | None:
    """Channels of the training images of a config; None: photos, or no folder of images."""
    dataset = (config.get('train_dataloader') or {}).get('dataset') or {}
    if str(dataset.get('type')).removeprefix('mmdssl.') not in ('ImageFolder', 'ImageShards'):
        return None
    return dataset.get('channels')


def reader_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """How the training images of a complete config are read, as `LoadImage` takes it."""
    dataset = config['train_dataloader']['dataset']
    return {key: dataset[key] for key in _READING if dataset.get(key) is not None}


def reader_of(config: Mapping[str, Any]) -> ChannelReader | None:
    """What reads images as the training of a complete config does; None: photos."""
    return None if channels_of(config) is None else LoadImage(**reader_settings(config)).reader


def complete_channels(config: Config) -> ChannelStatistics | None:
    """Write into a training config what images of n channels need, in place.

    Range, mean and standard deviation that stand there already (others than ImageNet's mean) stay.

    Args:
        config: Of a training run.

    Returns:
        What was measured of the images; None for photos, and where nothing was missing.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        ValueError: The backbone cannot take so many channels, or no image can be read.
    """
    channels = channels_of(config)
    if channels is None:
        return None
    for network in _networks(config.model):
        _set_channels(network, channels)
    dataset, preprocessor = config.train_dataloader.dataset, _preprocessor(config)
    mean = preprocessor.get('mean')
    measured = mean is None or len(mean) != channels or list(mean) == _IMAGENET
    found: ChannelStatistics | None = None
    if measured or dataset.get('scale') is None:
        settings = {k: v for k, v in dataset.items() if k not in ('type', 'pipeline')}
        found = DATASETS.get(dataset.type)(**settings).statistics
        if dataset.get('scale') is None:
            dataset.scale = [list(pair) for pair in found.scale]
        if measured:
            preprocessor.update(mean=list(found.mean), std=list(found.std))
    teacher = config.model.get('teacher')
    if isinstance(teacher, dict) and channels != 3:
        # Statistics of R, G, B that it was trained with say nothing of these channels.
        teacher.update(mean=None, std=None)
    for name in list(config):
        measures = str(name).endswith('dataloader') or name == 'coupling_diagnostics'
        if measures and name != 'train_dataloader':
            set_loading(config[name], reader_settings(config))
    return found


def _preprocessor(config: Config) -> Any:
    """The settings in effect: mmengine takes those of the model where it has any."""
    own = config.model.get('data_preprocessor')
    if own is not None:
        return own
    if config.get('data_preprocessor') is None:
        config.data_preprocessor = dict(type='MultiViewPreprocessor')
    return config.data_preprocessor


def _networks(model: Any) -> Iterator[Any]:
    """Configs of the backbones of a method."""
    for part in (model, model.get('teacher')):
        if isinstance(part, dict) and isinstance(part.get('backbone'), dict):
            yield part['backbone']


def _set_channels(network: Any, channels: int) -> None:
    given = network.get('in_channels', None if channels != 3 else 3)
    if given is not None and given != channels:
        raise ValueError(
            f'the images have {channels} channels, and the backbone has in_channels={given}: leave '
            'in_channels out, or make it the same'
        )
    if channels == 3:
        return
    kind: Any = MODELS.get(network['type'])
    known = any('in_channels' in inspect.signature(one.__init__).parameters for one in kind.mro())
    if not known:
        raise ValueError(
            f'a {network["type"]} takes R, G, B, and the images have {channels} channels: DenseViT '
            'and ResNet take any number'
        )
    network['in_channels'] = channels


def set_loading(part: Any, settings: Mapping[str, Any]) -> None:
    """Load images of a loader as those of the training, wherever its config does, in place."""
    if isinstance(part, dict):
        kind = str(part.get('type')).removeprefix('mmdssl.')
        if kind == 'LoadImage':
            part.update(settings)
        elif kind in _COMPOSED:
            part['load'] = dict(settings)
        elif kind == 'DisturbBackground' and part.get('load') is None:
            part['load'] = [dict(type='LoadImage', **settings)]
        for entry in part.values():
            set_loading(entry, settings)
    elif isinstance(part, (list, tuple)):
        for entry in part:
            set_loading(entry, settings)
