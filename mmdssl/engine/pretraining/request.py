"""What somebody asks a pre-training run to be: read, checked, and nothing else.

Values come from a command line (`Typed` characters, which arrive as they were typed) or from Python
(values already). What is no option of the command is an entry of the config.
"""

import ast
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmdssl.engine.command_line import Typed

__all__ = ['OPTIONS', 'Request', 'read_request']

#: Options of the command: what each takes, for its help.
OPTIONS = {
    'data': 'folder of images, searched with its sub-folders, or of shards, also s3://...',
    'out': 'folder of the run',
    'backbone': 'vit-tiny, vit-small, vit-base; resnet18, 34, 50, 101; vit-micro, r18w32: a CPU; '
    'with init also dinov2-small, dinov2-reg-base, dinov3-large, ...',
    'epochs': 'passes over the images',
    'batch': 'images of a process and step',
    'lr': 'peak of the learning rate; default: by the rule of the method for the batch',
    'views.size': 'side of the (large) views in pixels',
    'labelled': 'folder with boxes in the layout of COCO: O-KNN is measured during the run',
    'max_images': 'so many of the images only, evenly spaced',
    'channels': 'of images that are no photos: TIFF, GeoTIFF, .npy, .npz, PNG of 16 bits',
    'scale': 'of these: the value that becomes white, or low,high; default: percentiles a channel',
    'workers': 'loader processes of each process',
    'precision': 'bf16, fp16 or fp32',
    'proposals': 'file of proposals (SoCo, D3SSL); made there if it does not exist',
    'teacher': 'weights of the teacher (MaskAlign), or random',
    'init': 'weights of a backbone to start from, whoever trained it, or random',
    'log': 'tensorboard, wandb, mlflow or clearml: the curves go there as well',
    'seed': 'of everything that is drawn',
    'resume': 'true: resume the run in out',
    'overwrite': 'true: replace the run in out',
    'dry_run': 'true: a few steps, and what the run would take',
    'launcher': 'pytorch (known by itself under torchrun), slurm or none',
}
# Entries of a config that are options here, so that what depends on them follows.
_SAME = {
    'data_root': 'data',
    'train_dataloader.dataset.data_root': 'data',
    'train_dataloader.dataset.max_images': 'max_images',
    'train_dataloader.dataset.channels': 'channels',
    'train_dataloader.dataset.scale': 'scale',
    'train_dataloader.batch_size': 'batch',
    'train_dataloader.num_workers': 'workers',
    'optim_wrapper.optimizer.lr': 'lr',
    'train_cfg.max_epochs': 'epochs',
    'work_dir': 'out',
    'randomness.seed': 'seed',
    'model.init': 'init',
    'model.teacher.checkpoint': 'teacher',
}
_PRECISIONS = ('bf16', 'fp16', 'fp32')
_LAUNCHERS = ('none', 'pytorch', 'slurm')
_LOGGERS = ('tensorboard', 'wandb', 'mlflow', 'clearml')  # its table needs mmengine


@dataclass(frozen=True, kw_only=True)
class Request:
    """A checked request; None is "decide for me".

    Attributes:
        method: A method of `catalogue`, or a config file.
        entries: Further entries of the config, by dotted key.
        others: See `OPTIONS`.
    """

    method: str
    data: Path | str | None = None
    out: Path | None = None
    backbone: str | None = None
    epochs: int | None = None
    batch: int | None = None
    lr: float | None = None
    view_size: int | None = None
    labelled: Path | None = None
    max_images: int | None = None
    channels: int | None = None
    scale: Any = None
    workers: int | None = None
    precision: str | None = None
    proposals: Path | None = None
    teacher: str | None = None
    init: str | None = None
    log: str | None = None
    seed: int | None = None
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False
    launcher: str | None = None
    entries: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config_file(self) -> Path | None:
        """The config, where the method is one."""
        path = Path(self.method)
        return path if path.suffix == '.py' or path.is_file() else None

    def lasting(self) -> dict[str, Any]:
        """What makes the run what it is, as plain data: a resumed run asks for the same."""
        passing = ('out', 'resume', 'overwrite', 'dry_run', 'launcher', 'workers', 'entries')
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in passing}
        asked = {name: value for name, value in own.items() if value is not None}
        asked |= {f'entry {key}': str(value) for key, value in self.entries.items()}
        return {name: str(v) if isinstance(v, Path) else v for name, v in asked.items()}


def read_request(method: str, values: Mapping[str, Any]) -> Request:
    """Check what was asked for.

    Args:
        method: Name of a method, or a config file.
        values: By the names of `OPTIONS`, or dotted keys of the config.

    Raises:
        ValueError: If a value makes no sense; the sentence says which and what would.
    """
    if not str(method).strip():
        raise ValueError('the method is empty: is a variable not set?')
    known: dict[str, Any] = {}
    entries: dict[str, Any] = {}
    for key, value in values.items():
        name = _SAME.get(key, key)
        if name not in OPTIONS:
            _check_spelling(key, value)
            entries[key] = value
            continue
        if value is None or (isinstance(value, Typed) and value == 'None'):
            continue
        field_name = 'view_size' if name == 'views.size' else name
        if field_name in known:
            raise ValueError(f'{name} is given twice: leave one of them out')
        known[field_name] = _READERS[name](key, value)
    request = Request(method=str(method), entries=entries, **known)
    if request.out is None:
        raise ValueError('out is missing: give the folder of the run, out=DIR')
    if request.data is None and request.config_file is None:
        raise ValueError('data is missing: give a folder of images, data=PHOTOS')
    if request.scale is not None and request.channels is None:
        raise ValueError(f'scale={request.scale} is of images of n channels: give channels as well')
    if request.resume and request.overwrite:
        raise ValueError('resume goes on with a run that overwrite deletes: give one of them')
    return request


def _check_spelling(key: str, value: Any) -> None:
    near = get_close_matches(key, OPTIONS, n=1, cutoff=0.75)
    if near and '.' not in key:
        raise ValueError(f'{key}={value}: there is no option {key}: is {near[0]} meant?')


def _text(key: str, value: Any) -> str:
    from mmdssl.engine.options import unquoted  # needs mmengine, which the help does not

    text = unquoted(value) if isinstance(value, Typed) else os.fspath(value)
    if not text.strip():
        raise ValueError(f'{key} is empty: is a variable not set?')
    return text


def _path(key: str, value: Any) -> Path:
    return Path(_text(key, value)).expanduser()


def _place(key: str, value: Any) -> Path | str:
    """A folder of this machine, or an address, which is no path."""
    text = _text(key, value)
    return text if '://' in text else Path(text).expanduser()


def _whole(least: int) -> Callable[[str, Any], int]:
    def read(key: str, value: Any) -> int:
        text = str(value).strip()
        plain = text.isascii() and text.isdigit() and (text == '0' or text[0] != '0')
        if isinstance(value, bool) or not plain or int(text) < least:
            raise ValueError(f'{key}={value}: give a whole number of at least {least}')
        return int(text)

    return read


def _positive(key: str, value: Any) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = 0.0
    if isinstance(value, bool) or not 0 < number < float('inf'):
        raise ValueError(f'{key}={value}: give a number above 0, such as 0.002 or 2e-3')
    return number


def _scale(key: str, value: Any) -> Any:
    try:
        return ast.literal_eval(str(value).strip()) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        raise ValueError(
            f'{key}={value}: give a number, such as 4095, or two, such as 0,4095'
        ) from None


def _flag(key: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ('true', 'false'):
        raise ValueError(f'{key}={value}: give true or false')
    return text == 'true'


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def read(key: str, value: Any) -> str:
        text = _text(key, value).strip().lower()
        if text not in choices:
            raise ValueError(f'{key}={value}: give one of {", ".join(choices)}')
        return text

    return read


_READERS: dict[str, Callable[[str, Any], Any]] = {
    'data': _place,
    'out': _path,
    'backbone': lambda key, value: _text(key, value).strip().lower(),
    'epochs': _whole(1),
    'batch': _whole(1),
    'lr': _positive,
    'views.size': _whole(16),
    'labelled': _path,
    'max_images': _whole(1),
    'channels': _whole(1),
    'scale': _scale,
    'workers': _whole(0),
    'precision': _one_of(*_PRECISIONS),
    'proposals': _path,
    'teacher': _text,
    'init': _text,
    'log': _one_of(*_LOGGERS),
    'seed': _whole(0),
    'resume': _flag,
    'overwrite': _flag,
    'dry_run': _flag,
    'launcher': _one_of(*_LAUNCHERS),
}
