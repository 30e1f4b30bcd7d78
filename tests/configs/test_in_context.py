"""Configs of in-context and patch k-NN segmentation: published settings, and their data read."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image

from mmdssl.engine.config import load_config
from mmdssl.registry import METRICS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs' / 'in_context'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py'))

#: By data: images, maps and list of both sides, endings, the largest label and the classes.
LAYOUTS = {
    'voc12': (
        ('JPEGImages', 'SegmentationClassAug', 'ImageSets/Segmentation/trainaug.txt'),
        ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation/val.txt'),
        ('.jpg', '.png'),
        20,
        21,
    ),
    'ade20k': (
        ('images/training', 'annotations/training', ''),
        ('images/validation', 'annotations/validation', ''),
        ('.jpg', '.png'),
        150,
        151,
    ),
    'coco-stuff': (
        ('train2017', 'annotations/stuff_train2017_pixelmaps', ''),
        ('val2017', 'annotations/stuff_val2017_pixelmaps', ''),
        ('.jpg', '.png'),
        107,
        15,
    ),
    'cityscapes': (
        ('leftImg8bit/train/aachen', 'gtFine/train/aachen', ''),
        ('leftImg8bit/val/ulm', 'gtFine/val/ulm', ''),
        ('_leftImg8bit.png', '_gtFine_labelTrainIds.png'),
        18,
        19,
    ),
    'voc-photos': (
        ('train2012', 'masks_train2012', ''),
        ('val2012', 'masks_val2012', ''),
        ('.jpg', '.png'),
        20,
        21,
    ),
}


def write(root: Path, data: str, classes: Sequence[str]) -> None:
    """Three images to label by and two to ask with, in the layout of a data set."""
    *sides, endings, most, _ = LAYOUTS[data]
    rng = np.random.default_rng(0)
    for number, (images, maps, listing) in enumerate(sides):
        names = [f'{number}{index}' for index in range((3, 2)[number])]
        for name in names:
            labels = rng.integers(3 * most // 4, most + 1, (5, 4)).astype(np.uint8)
            labels = labels.repeat(10, axis=0).repeat(10, axis=1)
            labels[0] = 255
            colours = np.stack([labels, 255 - labels, labels // 2], axis=2)
            for folder, file in ((images, name + endings[0]), (maps, name + endings[1])):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(colours if folder == images else labels).save(root / folder / file)
        if listing:
            (root / listing).parent.mkdir(parents=True, exist_ok=True)
            (root / listing).write_text('\n'.join(names))
    if data == 'coco-stuff':
        groups = [dict(id=92 + n, supercategory=name) for n, name in enumerate(classes)]
        categories = json.dumps(dict(categories=[*groups, dict(id=183, supercategory='other')]))
        for split in ('train', 'val'):
            (root / 'annotations' / f'stuff_{split}2017.json').write_text(categories)


@pytest.mark.parametrize('name', NAMES)
def test_it_reads_its_data_and_its_metrics_score_them(name, tmp_path):
    """With the colours of 16 or 32 px cells for features: the data and the metrics are the test."""
    data = name.rsplit('_', 1)[1]
    init_default_scope('mmdssl')
    config = load_config(CONFIGS / f'{name}.py', {'data_root': str(tmp_path)})
    write(tmp_path, data, config.test_dataloader.dataset.datasets.bank.classes)
    MODELS.build(config.model)
    config.test_dataloader.update(num_workers=0, batch_size=2)
    config.test_dataloader.dataset.datasets.bank.pop('share', None)
    loader = Runner.build_dataloader(config.test_dataloader)
    assert len(loader.dataset.metainfo['classes']) == LAYOUTS[data][-1]
    given = config.test_evaluator
    metrics = [METRICS.build(one) for one in (given if isinstance(given, list) else [given])]
    for metric in metrics:
        metric.dataset_meta = loader.dataset.metainfo
        metric.device = 'cpu'
        metric.bootstrap = 3
    for batch in loader:
        cells = torch.nn.functional.avg_pool2d(torch.stack(list(batch['inputs'])).float(), 32)
        for sample, features in zip(batch['data_samples'], cells, strict=True):
            sample.set_field(features, 'patch_features', dtype=torch.Tensor)
        for metric in metrics:
            metric.process(batch, [sample.to_dict() for sample in batch['data_samples']])
    for metric in metrics:
        scores = metric.evaluate(len(loader.dataset))
        key = f'{metric.prefix}/'
        assert scores[f'{key}num_images'] == 2
        assert scores[f'{key}accuracy'] > 0
        passes = 2 if 'again' in str(getattr(metric, 'banks', '')) else 1
        size = loader.dataset[0]['inputs'].shape[-1] // 32
        assert scores[f'{key}num_memory'] <= 3 * passes * size**2


@pytest.mark.parametrize('name', [name for name in NAMES if name.startswith('in-context_vit')])
def test_in_context_settings_are_those_of_the_public_code(name):
    """open-hummingbird-eval 2.0: two passes, areas of 0.5 to 2, colours by 0.1, k=30, 0.02."""
    init_default_scope('mmdssl')
    config = load_config(CONFIGS / f'{name}.py')
    parts = config.test_dataloader.dataset.datasets
    metric = METRICS.build(config.test_evaluator)
    assert (metric.k, metric.temperature, metric.memory_size) == (30, 0.02, 10_240_000)
    assert (metric.void, metric.banks) == ('background', ('bank', 'bank_again'))
    assert metric.ignored == ((0,) if 'ade20k' in name else ())
    for tag in metric.banks:
        crop, colours, _ = parts[tag].pipeline
        assert (crop.type, crop.size, crop.scale) == ('RandomResizedCropWithMap', 512, (0.5, 2.0))
        assert colours == dict(type='SlightColours', strength=0.1, prob=0.5)
    assert parts.query.pipeline[0] == dict(type='ResizeWithMap', size=512)


@pytest.mark.parametrize('name', [name for name in NAMES if name.startswith('patch-knn')])
def test_patch_knn_settings_are_those_of_the_public_code(name):
    """CAPI: 224 px, bicubic, a tenth for tuning, k of 1, 3, 10, 30, both distances."""
    init_default_scope('mmdssl')
    config = load_config(CONFIGS / f'{name}.py')
    metric = METRICS.build(config.test_evaluator)
    assert metric.neighbours == (1, 3, 10, 30)
    assert metric.distances == ('cosine', 'l2')
    assert (metric.tune, metric.tune_share) == (None, 0.1)
    assert metric.ignored == ((0,) if 'ade20k' in name else ())
    parts = config.test_dataloader.dataset.datasets
    assert set(parts) == {'bank', 'query'}
    for part in parts.values():
        assert part.pipeline[0] == dict(type='ResizeWithMap', size=224, interpolation='bicubic')
