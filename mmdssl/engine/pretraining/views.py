"""The size of the views: wherever a training pipeline and its model state it, it is one size."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmdssl.engine.pretraining.decisions import Decisions
from mmdssl.engine.pretraining.photos import Photos

__all__ = ['set_view_size', 'view_size']

_CROPS = ('RandomResizedCropWithBoxes', 'ResizeWithBoxes')
_LEAST = 96  # pixels; below, the last map of a network is a cell or two
_STEP = 32  # the stride of a ResNet; two patches of a ViT


def view_size(config: Config) -> int:
    """Side of the large views of a training config in pixels.

    Raises:
        ValueError: If its pipeline makes no views.
    """
    sides = [step['size'] for step in _steps(config) if step.get('type') in _CROPS]
    if not sides:
        raise ValueError(f'{config.filename}: the training pipeline makes no views to size')
    shrunk = (config.model.get('data_preprocessor') or {}).get('student_size')
    return shrunk or max(sides)  # larger ones are made for another eye, and shrunk for the student


def set_view_size(
    config: Config, asked: int | None, photos: Photos | None, decisions: Decisions
) -> None:
    """Choose the size of the views and write it wherever it is stated, in place.

    Smaller views (local crops, x2s of D3SSL) keep their proportion, patch grids their patch.

    Raises:
        ValueError: If the size does not fit the network.
    """
    was = view_size(config)
    size = asked or was
    patch = _patch(config)
    step = 2 * patch if patch else _STEP
    if asked is not None:
        reason = 'as asked for'
    elif photos is not None and photos.side and photos.side < was:
        size = min(max(photos.side // step * step, -(-_LEAST // step) * step), was)
        reason = f'half of the photos have a side below {was} px (median {photos.side} px)'
    else:
        reason = 'that of the config'
    step = patch or _STEP
    if size % step:
        near = max(round(size / step), 1) * step
        raise ValueError(f'views.size={size} is no multiple of {step}: give {near}, for example')
    decisions.add('views', f'{size} px', reason)
    if size != was:
        _rescale(config, was, size)


def _rescale(config: Config, was: int, size: int) -> None:
    patch = _patch(config)
    unit = patch or _STEP // 2

    def scaled(side: int) -> int:
        return max(round(side * size / was / unit), 1) * unit

    for step in _steps(config):
        if step.get('type') in _CROPS:
            step['size'] = scaled(step['size'])
        mask = step.get('mask_size')
        if isinstance(mask, int):
            step['mask_size'] = scaled(mask)
        elif mask is not None and patch:
            step['mask_size'] = tuple(scaled(side * patch) // patch for side in mask)
    model = config.model
    if patch and model.backbone.get('img_size', was) == was:  # else a table of given weights
        model.backbone.img_size = size
        teacher = model.get('teacher') or {}
        if 'backbone' in teacher:
            teacher['backbone']['img_size'] = size
    if (model.get('data_preprocessor') or {}).get('student_size'):
        model.data_preprocessor.student_size = size
    if 'small_size' in model:
        model.small_size = scaled(model.small_size)
    measured = config.get('object_knn_dataloader')
    for step in (measured or {}).get('dataset', {}).get('pipeline', ()):
        if step.get('type') == 'ResizeWithBoxes':
            step['size'] = size


def _patch(config: Config) -> int | None:
    """Side of a patch; None for a network without."""
    return config.model.backbone.get('patch_size')


def _steps(config: Config) -> Iterator[Any]:
    """All transforms of the training pipeline, those within others too; none twice."""
    seen: set[int] = set()

    def walk(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            if id(value) in seen:
                return
            seen.add(id(value))
            if 'type' in value:
                yield value
            for entry in value.values():
                yield from walk(entry)
        elif isinstance(value, (list, tuple)):
            for entry in value:
                yield from walk(entry)

    yield from walk(config.train_dataloader.dataset.pipeline)
