"""Configs of mmdet and mmseg: which they are, and whether they can work.

What they answer with an assertion deep inside, or not at all, is said here in one sentence: no
compiled ops, mixed precision without a GPU, classes that the annotations do not have, heads for
another number of classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from mmdssl.compat import require_stack
from mmdssl.core.text_files import read_json
from mmdssl.core.wording import listed

__all__ = [
    'check_classes',
    'check_framework',
    'check_precision',
    'framework_of',
    'readable_data',
]

# Scope of a config -> what has to work for it, as mmdssl.compat names it.
_PURPOSES = {'mmdet': 'det', 'mmseg': 'seg'}
# Modules whose ``num_classes`` is that of the data; a region proposal head has one class.
_HEADS = ('bbox_head', 'mask_head', 'decode_head', 'auxiliary_head')


def framework_of(config: Config) -> str | None:
    """``'mmdet'`` or ``'mmseg'`` if the config is one of a detector or a segmentor, else None."""
    scope = config.get('default_scope')
    return scope if scope in _PURPOSES else None


def check_framework(config: Config) -> None:
    """Refuse a config whose framework, or mmcv's compiled ops that it needs, are not there.

    Both then read images with our checks (:mod:`mmdssl.transfer.checked_images`), mmdet COCO files
    as well (:mod:`mmdssl.transfer.coco_api`).

    Raises:
        ImportError: What is missing and the remedy.
    """
    framework = framework_of(config)
    if framework is not None:
        require_stack(_PURPOSES[framework])
        from mmdssl.transfer.checked_images import use_checked_images  # needs mmcv

        use_checked_images(framework)
    if framework == 'mmdet':
        from mmdssl.transfer.coco_api import use_checked_coco  # needs mmdet

        use_checked_coco()


def check_precision(config: Config) -> None:
    """Refuse mixed precision where mmengine's wrapper does not run.

    Raises:
        ValueError: Without a GPU.
    """
    kind = config.get('optim_wrapper', {}).get('type')
    if framework_of(config) and kind == 'AmpOptimWrapper' and not torch.cuda.is_available():
        raise ValueError(
            f'mixed precision of a config of {framework_of(config)} needs a GPU, and there is '
            'none: add --amp off to the command'
        )


@contextmanager
def readable_data(config: Config, loader: str = 'train_dataloader') -> Iterator[None]:
    """Data without annotations, or without a single object in them, are told as such.

    Args:
        config: Of the run.
        loader: Which of its loaders is built.

    Raises:
        FileNotFoundError: For the file of annotations that is not there.
        ValueError: For whatever mmdet says of an empty list.
    """
    try:
        yield
    except FileNotFoundError as error:
        if framework_of(config) is None or not str(error.filename or '').endswith('.json'):
            raise
        raise FileNotFoundError(
            f'there are no annotations {error.filename}: correct data_root or ann_file of the '
            'data sets'
        ) from error
    except ValueError as error:
        if framework_of(config) is None or 'need at least one array' not in str(error):
            raise
        data = config[loader].dataset
        while 'dataset' in data:
            data = data.dataset
        names = (data.get('metainfo') or {}).get('classes') or ('of the data set class',)
        raise ValueError(
            f'{data.get("ann_file") or data.get("data_root")}: no image with an object of the '
            f'classes {listed(names)}: write metainfo=dict(classes=...) in the data sets as the '
            'file names its categories'
        ) from error


def check_classes(model: nn.Module, dataset: Any) -> None:
    """Compare classes of the training data with the annotations and with the heads.

    Args:
        model: Detector or segmentor.
        dataset: Its training data; wrappers around a data set are seen through.

    Raises:
        ValueError: If a class is no category of the file, or a head has another number of
            classes than the data.
    """
    dataset = _innermost(dataset)
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if not classes:
        return
    found = getattr(dataset, 'cat_ids', None)  # of mmdet's CocoDataset: those of its classes
    if found is not None and len(found) < len(classes):
        known = _categories(dataset.ann_file)
        raise ValueError(
            f'{dataset.ann_file} has no category '
            f'{listed(name for name in classes if name not in known)}, but {listed(known)}: '
            'correct metainfo=dict(classes=...) of the data sets'
        )
    for name, module in model.named_modules():
        number = getattr(module, 'num_classes', None)
        if isinstance(number, int) and number != len(classes) and _is_head(name):
            raise ValueError(
                f'model.{name} is for num_classes={number}, but the training data have '
                f'{len(classes)} classes: set num_classes={len(classes)} there'
            )


def _innermost(dataset: Any) -> Any:
    """The data set, or the first one, inside wrappers."""
    while not hasattr(dataset, 'cat_ids'):
        inner = getattr(dataset, 'dataset', None)
        if inner is None:
            inner = next(iter(getattr(dataset, 'datasets', ())), None)
        if inner is None:
            break
        dataset = inner
    return dataset


def _categories(path: str) -> list[str]:
    return [entry['name'] for entry in read_json(path)['categories']]


def _is_head(name: str) -> bool:
    parts = name.split('.')  # 'roi_head.bbox_head.0'
    return parts[-1] in _HEADS or (len(parts) > 1 and parts[-2] in _HEADS and parts[-1].isdigit())
