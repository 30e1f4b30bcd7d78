"""The training data of a config as a run would see them, one batch at a time, in this process.

A batch does not carry the boxes its masks were made from. They are noted down
on the way, in front of the transform that packs a sample.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed

from mmdssl.registry import MODELS

__all__ = ['Preview', 'build_model', 'stride_of', 'training_batches']

#: Where the boxes of a mask may stand in a view, the first that exists is taken.
_REGION_KEYS = {'mask': ('regions', 'proposals'), 'dc_mask': ('dc_regions', 'regions', 'proposals')}


@dataclass(frozen=True)
class Preview:
    """One batch.

    Attributes:
        data: What the loader gives the data preprocessor.
        regions: Boxes (n, 4) x1 y1 x2 y2 in pixels by mask key, view and image;
            keys without boxes are absent, and views without them have (0, 4).
    """

    data: dict
    regions: dict[str, list[list[np.ndarray]]]


@dataclass
class _Notes:
    """A transform that changes nothing and remembers the boxes of every view."""

    samples: list[list[dict[str, np.ndarray]]] = field(default_factory=list)

    def __call__(self, results: dict) -> dict:
        self.samples.append([_boxes(view) for view in results.get('views', [])])
        return results

    def __deepcopy__(self, memo: dict) -> '_Notes':
        # Runner.build_dataloader copies its config, and the copy would be the one that notes.
        return self

    def take(self) -> dict[str, list[list[np.ndarray]]]:
        """What was noted since the last call, by mask key, view and image."""
        samples, self.samples = self.samples, []
        views = range(len(samples[0]) if samples else 0)
        none = np.empty((0, 4), np.float32)
        return {
            key: [[sample[view].get(key, none) for sample in samples] for view in views]
            for key in _REGION_KEYS
            if any(key in view for sample in samples for view in sample)
        }


def training_batches(config: Config, count: int) -> Iterator[Preview]:
    """The first batches of a run with this config.

    Args:
        config: Of a pre-training run. Its seed (default 0) is set.
        count: Most batches to give.

    Yields:
        One batch after the other.

    Raises:
        ValueError: If the config has no training data, or too few for one batch.
    """
    if 'train_dataloader' not in config:
        raise ValueError('the config has no train_dataloader: give that of a pre-training run')
    init_default_scope(config.get('default_scope', 'mmdssl'))
    seed = (config.get('randomness') or {}).get('seed') or 0
    set_random_seed(seed)
    settings = copy.deepcopy(dict(config.train_dataloader))
    # In this process, where what is noted can be read.
    settings.update(num_workers=0, persistent_workers=False, pin_memory=False)
    settings.pop('prefetch_factor', None)
    notes = _Notes()
    settings['dataset'] = _with_notes(config.train_dataloader.to_dict()['dataset'], notes)
    loader = Runner.build_dataloader(settings, seed=seed)
    batches = iter(loader)
    for number in range(count):
        data = next(batches, None)
        if data is None and number == 0:
            raise ValueError(
                f'the training data hold {len(loader.dataset)} images, less than one batch of '
                f'{settings["batch_size"]}: set --cfg-options train_dataloader.batch_size=...'
            )
        if data is None:
            return
        yield Preview(data, notes.take())


def build_model(config: Config) -> Any:
    """A config's model, for what it makes of a batch; its weights are random."""
    init_default_scope(config.get('default_scope', 'mmdssl'))
    settings = config.model.to_dict()
    if config.get('data_preprocessor') is not None:
        settings.setdefault('data_preprocessor', config.data_preprocessor)
    return MODELS.build(settings)  # the host brings branch defaults of its own


def stride_of(backbone: Any) -> int:
    """Pixels of a view per cell of a backbone's last map; 32 where its config does not say."""
    strides = getattr(backbone, 'strides', None)  # of a ResNet's stages, behind a stem of 4
    return 32 if strides is None else 4 * math.prod(strides)


def _boxes(view: dict) -> dict[str, np.ndarray]:
    found = {}
    for mask_key, names in _REGION_KEYS.items():
        name = next((name for name in names if name in view), None)
        if name is not None and mask_key in view:
            found[mask_key] = np.array(view[name], dtype=np.float32)
    return found


def _with_notes(dataset: dict[str, Any], notes: _Notes) -> dict[str, Any]:
    """The data set's config with ``notes`` before the last transform of its pipeline."""
    if 'pipeline' in dataset:
        *steps, last = dataset['pipeline']
        return {**dataset, 'pipeline': [*steps, notes, last]}
    if isinstance(dataset.get('dataset'), dict):  # a wrapper such as RepeatDataset
        return {**dataset, 'dataset': _with_notes(dataset['dataset'], notes)}
    return dataset
