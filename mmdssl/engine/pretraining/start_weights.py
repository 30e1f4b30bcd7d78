"""The backbone that a run begins with: whose it is, told by its file, which may have any names."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.conversion.architecture import blueprint
from mmdssl.conversion.backbone_config import backbone_config
from mmdssl.conversion.convert import import_weights
from mmdssl.conversion.files import write_weights
from mmdssl.conversion.key_maps import family_of
from mmdssl.core.hub import local_file
from mmdssl.core.locating import find
from mmdssl.core.newest import newest_checkpoint
from mmdssl.core.reading import load_checkpoint_file

__all__ = ['DINO_SIZES', 'Start', 'look_at_start', 'name_of']

#: Sizes of DINOv2 and DINOv3: width, blocks, heads, hidden width of the MLP (of a gated one that of
#: the plain one it stands for), and its kind.
DINO_SIZES: dict[str, tuple[int, int, int, int, str]] = {
    'small': (384, 12, 6, 1536, 'mlp'),
    'small-plus': (384, 12, 6, 2304, 'gated'),
    'base': (768, 12, 12, 3072, 'mlp'),
    'large': (1024, 24, 16, 4096, 'mlp'),
    'large-plus': (1024, 24, 16, 6144, 'gated'),
    'huge-plus': (1280, 32, 20, 7680, 'gated'),
    'giant': (1536, 40, 24, 6144, 'gated'),
}
_LEAST = 0.95  # of a network, as mmdssl convert import asks for


@dataclass(frozen=True)
class Start:
    """A file to begin with.

    Attributes:
        file: Under the names of this package.
        backbone: What it is, as the option ``backbone`` names it; None where that is not known.
        note: How it came under these names; empty where it had them.
        problem: Why it cannot be brought under these names; the file is as it was given then.
    """

    file: Path
    backbone: str | None = None
    note: str = ''
    problem: ValueError | None = None


def look_at_start(given: str) -> Start:
    """What a file holds; one with names of another package is converted, and kept for later runs.

    Args:
        given: A run's folder or checkpoint, a converted file, or one of those that ``mmdssl
            convert import`` reads.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    file = local_file(given).absolute()
    if file.is_dir():
        file = newest_checkpoint(file)[0] or file
    elif not file.is_file():
        raise FileNotFoundError(f'init={given}: there is no such file')
    try:
        own = _own_backbone(file)
        if own is not None:
            return Start(file, name_of(own, file))
        return _converted(file)
    except ValueError as error:
        return Start(file, problem=error)


def name_of(state: dict[str, Tensor], file: Path) -> str | None:
    """The backbone that tensors are of, by the name of the option ``backbone``.

    Args:
        state: Of a backbone, under our names.
        file: For messages.
    """
    try:
        settings = backbone_config(state, file)
    except ValueError:
        return None
    if settings['type'] == 'ResNet':
        usual = settings['stem_channels'] == settings['base_channels'] == 64
        return f'resnet{settings["depth"]}' if usual else None
    if settings['type'] != 'DenseViT':
        return None
    size = _size_of(settings)
    if 'rope' in settings:
        family = 'dinov3'
    elif 'layer_scale_init_value' in settings:
        family = 'dinov2-reg' if settings.get('registers') else 'dinov2'
    else:
        family = 'vit'
    return f'{family}-{size}' if size else None


def _size_of(settings: dict[str, Any]) -> str | None:
    arch = settings['arch']
    numbers = (arch['embed_dims'], arch['num_layers'], arch['num_heads'])
    wanted = (*numbers, arch['feedforward_channels'], settings.get('ffn', 'mlp'))
    return next((name for name, size in DINO_SIZES.items() if size == wanted), None)


def _own_backbone(file: Path) -> dict[str, Tensor] | None:
    """The backbone of a file with our names; None where it has others."""
    content = load_checkpoint_file(file)
    try:
        own = find(content, file, 'auto')[1]
        family = family_of(own, 'ours')
        if family is None:
            return None
        blueprint(own, family)
    except ValueError:
        return None
    return own


def _converted(file: Path) -> Start:
    """The file under our names, in the cache."""
    found = import_weights(file)
    if found.coverage < _LEAST or found.faults:
        reports = '; '.join([*found.faults, *map(str, found.reports)])
        raise ValueError(f'init={file} is no whole backbone of this package: {reports}')
    target = _kept_at(file)
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_weights(found.state, found.meta, target)
    own = find(dict(state_dict=found.state, meta=found.meta), file, 'auto')[1]
    origin = found.meta.get('weights_origin')
    kind = f'{origin}, names of {found.meta["format"]}' if origin else found.meta['format']
    notes = ''.join(f'; {note}' for note in found.notes)
    return Start(target, name_of(own, file), f'a file of {kind}, converted to {target}{notes}')


def _kept_at(file: Path) -> Path:
    """Where a converted file is kept, by what it is converted from."""
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    state = file.stat()
    key = f'{os.fspath(file.resolve())} {state.st_size} {state.st_mtime_ns}'
    digest = hashlib.sha1(os.fsencode(key)).hexdigest()[:12]
    return Path(base) / 'mmdssl' / 'weights' / f'{file.stem}-{digest}.pth'
