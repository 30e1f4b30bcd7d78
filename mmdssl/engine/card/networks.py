"""Which network a word on the command line means, of this package or of another library.

[NAME=]RUN or CHECKPOINT            a folder of a run, a checkpoint, or a converted file
[NAME=]CONFIG:CHECKPOINT            the config's backbone; CONFIG:untrained without weights
[NAME=]timm:NET                     with the published weights, which are fetched
[NAME=]timm:NET:CHECKPOINT          with those of a file; timm:NET:untrained without
[NAME=]torchvision:NET, hf:FOLDER   the same
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import set_random_seed
from torch import nn

from mmdssl.core.hub import hub_file, is_there
from mmdssl.core.locating import Source
from mmdssl.core.text_files import read_json
from mmdssl.datasets.channels import ChannelReader
from mmdssl.engine.channels import complete_channels, reader_of
from mmdssl.engine.config import load_config
from mmdssl.engine.extractor import build_extractor
from mmdssl.engine.loaded_backbone import LoadedBackbone, load_backbone
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.registry import MODELS

__all__ = ['CardNetwork', 'fingerprint_of', 'open_network', 'open_networks']

_LIBRARIES = {'timm': 'TimmBackbone', 'torchvision': 'TorchvisionBackbone', 'hf': 'HFBackbone'}
_UNTRAINED = 'untrained'


@dataclass(frozen=True)
class CardNetwork:
    """A frozen network, ready to be measured.

    Attributes:
        name: To print, and of its file.
        backbone: As it was named.
        weights: Where they are from, in words.
        extractor: Backbone and normalisation, in evaluation mode.
        fingerprint: Of all weights; equal networks have equal ones.
        reader: Of its images, where they are no photos.
    """

    name: str
    backbone: str
    weights: str
    extractor: FeatureExtractor
    fingerprint: int
    reader: ChannelReader | None = None

    @property
    def channels(self) -> int:
        """Of its images."""
        return 3 if self.reader is None else self.reader.channels

    @property
    def takes(self) -> str:
        """Its images, in words."""
        return 'photos' if self.reader is None else f'images of {self.channels} channels'

    @property
    def load(self) -> dict[str, Any] | None:
        """Settings of `LoadImage` for its images; None: photos."""
        return None if self.reader is None else self.reader.settings


def open_networks(
    texts: Sequence[str], *, seed: int = 0, source: Source = 'auto', device: str | None = None
) -> list[CardNetwork]:
    """The networks in order, see :func:`open_network`.

    Raises:
        ValueError: If there are none, two have one name, or they take other images.
    """
    if not texts:
        raise ValueError('name at least one backbone: a checkpoint, a run, or timm:NET')
    networks: list[CardNetwork] = []
    for text in texts:
        one = open_network(text, seed=seed, source=source, device=device)
        if any(one.name == other.name for other in networks):
            raise ValueError(f'two networks are named {one.name!r}: give NAME={one.backbone}')
        if networks and one.takes != networks[0].takes:
            raise ValueError(
                f'{networks[0].name} takes {networks[0].takes} and {one.name} {one.takes}: a card '
                'compares networks on the same images'
            )
        networks.append(one)
    return networks


def open_network(
    text: str, *, seed: int = 0, source: Source = 'auto', device: str | None = None
) -> CardNetwork:
    """The network that a text means, see the module.

    Args:
        text: E.g. ``'ours=work_dirs/run'`` or ``'timm:resnet50:untrained'``.
        seed: Of untrained weights.
        source: Which network of a checkpoint of a run.
        device: Where it computes; default: a GPU where there is one.

    Raises:
        FileNotFoundError: If it names a file that is not there.
        ValueError: If it means nothing, or weights cannot be had or do not fit.
        ImportError: If the library is not installed.
    """
    name, place = _named(text)
    kind, colon, rest = place.partition(':')
    set_random_seed(seed)
    reader: ChannelReader | None = None
    address = hub_file(place)
    if address is not None:
        loaded, weights, default = _loaded(place, source), place, address.name
        found, reader = loaded, loaded.reader
    elif colon and kind in _LIBRARIES:
        net, weights = _of_library(kind, rest)
        found, default = net, f'{kind}-{Path(rest.partition(":")[0]).name}'
        untrained = rest.endswith(f':{_UNTRAINED}')
        default += f'-{_UNTRAINED}' if untrained else ''
    elif Path(place).exists():
        loaded, weights = _loaded(place, source), place
        found, reader = loaded, loaded.reader
        default = Path(place).name if Path(place).is_dir() else Path(place).stem
    elif colon:
        found, weights, default, reader = _of_config(place, source)
    else:
        advice = (
            f': {place}:{_UNTRAINED} is its network without weights' if _is_config(place) else ''
        )
        raise FileNotFoundError(
            f'backbone {place!r} is no checkpoint and no folder of a run, and none of '
            f'CONFIG:CHECKPOINT, timm:NET, torchvision:NET, hf:FOLDER, hf://ORG/NAME{advice}'
        )
    # O-KNN's rule for ResNets, whatever the loader took.
    extractor = FeatureExtractor(
        backbone=found.backbone, data_preprocessor=found.data_preprocessor, upsample_c4=True
    )
    extractor.requires_grad_(False)
    extractor.eval()
    extractor.to(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    return CardNetwork(
        name or default, place, weights, extractor, fingerprint_of(extractor.backbone), reader
    )


def _loaded(place: str, source: Source) -> LoadedBackbone:
    return load_backbone(place, source=source, device='cpu')


def fingerprint_of(backbone: nn.Module) -> int:
    """CRC-32 of all parameters and buffers with their names."""
    total = 0
    for name, value in backbone.state_dict().items():
        total = zlib.crc32(name.encode(), total)
        flat = value.detach().cpu().contiguous().flatten()
        total = zlib.crc32(flat.view(torch.uint8).numpy().tobytes(), total)
    return total


def _named(text: str) -> tuple[str, str]:
    """A name before ``=``, '' without; files may hold ``=``, names no ``/`` and no ``:``."""
    name, equals, place = text.partition('=')
    if not equals or '/' in name or ':' in name or Path(text).exists():
        return '', text
    if not name.strip() or not place.strip():
        raise ValueError(f'{text!r} is not NAME=BACKBONE: is a variable not set?')
    return name, place


def _is_config(place: str) -> bool:
    try:
        load_config(Path(place))
    except (FileNotFoundError, ValueError, OSError):
        return False
    return True


def _of_config(
    place: str, source: Source
) -> tuple[FeatureExtractor, str, str, ChannelReader | None]:
    # An address of the hub has a colon of its own.
    config_name, _, weights = place.partition(':') if ':hf:/' in place else place.rpartition(':')
    config = load_config(Path(config_name))
    if config.get('model', {}).get('backbone') is None:
        raise ValueError(f'{config_name} has no model with a backbone to measure')
    complete_channels(config)
    stem, reader = Path(config_name).stem, reader_of(config)
    if weights == _UNTRAINED:
        return build_extractor(config, None, source), _UNTRAINED, f'{stem}-{_UNTRAINED}', reader
    if not is_there(weights):
        raise FileNotFoundError(f'there is no checkpoint {weights} for {config_name}')
    found = build_extractor(config, Path(weights), source)
    return found, weights, f'{stem}-{Path(weights).stem}', reader


def _of_library(kind: str, rest: str) -> tuple[FeatureExtractor, str]:
    """A network of another library with its normalisation, and where its weights are from."""
    name, _, weights = rest.partition(':')
    settings: dict[str, Any] = dict(type=_LIBRARIES[kind], name=name)
    if not name:
        raise ValueError(f'{kind}: names no network: {kind}:NET or {kind}:NET:{_UNTRAINED}')
    if kind == 'hf' and not Path(name).is_dir():
        raise FileNotFoundError(f'there is no folder {name} of save_pretrained for hf:{name}')
    if weights and weights != _UNTRAINED:
        if not is_there(weights):
            raise FileNotFoundError(f'there is no checkpoint {weights} for {kind}:{name}')
        settings['checkpoint'] = weights
    else:
        settings['pretrained'] = not weights
    try:
        backbone = MODELS.build(settings)
    except (OSError, RuntimeError) as error:
        if not settings.get('pretrained'):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f'the published weights of {kind}:{name} cannot be loaded ({reason}): give a file, '
            f'{kind}:{name}:CHECKPOINT, or {kind}:{name}:{_UNTRAINED}'
        ) from error
    mean, std = _statistics(kind, name, backbone)
    scaled = {
        key: [255 * float(value) for value in values]
        for key, values in (('mean', mean), ('std', std))
        if values is not None
    }
    extractor = FeatureExtractor(
        backbone=backbone, data_preprocessor=dict(type='MultiViewPreprocessor', **scaled)
    )
    origin = 'those the library publishes' if settings.get('pretrained') else weights
    return extractor, name if kind == 'hf' and not weights else origin


def _statistics(kind: str, name: str, backbone: Any) -> tuple[Any, Any]:
    """Mean and standard deviation in 0..1 of what the network was trained on; None: ImageNet's."""
    if kind == 'timm':
        from timm.data import resolve_model_data_config

        config = resolve_model_data_config(backbone.wrapped)
        return config['mean'], config['std']
    file = Path(name, 'preprocessor_config.json')
    if kind == 'hf' and file.is_file():
        content = read_json(file)
        return content.get('image_mean'), content.get('image_std')
    return None, None
