"""Every published fine-tuning and evaluation config against the table of its protocol, by value."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

pytest.importorskip('mmcv._ext', reason='mmdet and mmseg need compiled ops')

from mmdssl.engine.config import load_config
from tests.configs import published_protocols as protocol
from tests.configs.stated import differences, filled

CONFIGS = Path(__file__).parents[2] / 'configs'
VOC = (
    dict(
        classes='PascalVOCDataset',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
        ann_file='ImageSets/Segmentation/trainaug.txt',
        share='nothing',
    ),
    dict(
        classes='PascalVOCDataset',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
    ),
)
# The coarse classes of things that are no objects, without "other".
STUFF_CLASSES = (
    'building', 'ceiling', 'floor', 'food-stuff', 'furniture-stuff', 'ground', 'plant',
    'raw-material', 'sky', 'solid', 'structural', 'textile', 'wall', 'water', 'window',
)  # fmt: skip
STUFF = tuple(
    dict(
        classes=STUFF_CLASSES,
        category_file=f'annotations/stuff_{split}2017.json',
        data_prefix=dict(
            img_path=f'{split}2017', seg_map_path=f'annotations/stuff_{split}2017_pixelmaps'
        ),
    )
    for split in ('train', 'val')
)
STUFF[0]['share'] = 0.1  # a tenth of the images trains
PUBLISHED = {
    'ade20k_segmentation/upernet_vit-small-p16_8xb2-160k_ade20k-512x512.py': protocol.UPERNET,
    'coco_detection/cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py': protocol.CASCADE,
    'coco_detection/mask-rcnn_r50-c4_8xb2-90k_coco.py': protocol.MASK_RCNN,
    'voc_detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py': protocol.FASTER_RCNN,
    'voc12_segmentation/linear_vit-small-p16_2xb60-25e_voc12aug-448x448.py': protocol.probe(
        60, 25, 21, *VOC, protocol.LINEAR
    ),
    'voc12_segmentation/fcn_vit-small-p16_2xb32-30e_voc12aug-448x448.py': protocol.probe(
        32, 30, 21, *VOC, protocol.FCN
    ),
    'coco_stuff_segmentation/linear_vit-small-p16_2xb60-25e_coco-stuff15-448x448.py': (
        protocol.probe(60, 25, 15, *STUFF, protocol.LINEAR)
    ),
    'coco_stuff_segmentation/fcn_vit-small-p16_2xb32-30e_coco-stuff15-448x448.py': (
        protocol.probe(32, 30, 15, *STUFF, protocol.FCN)
    ),
}


def steps(pipeline: list) -> list[dict]:
    """The steps without the scope that mmengine notes where a base file is of mmdet."""
    return [{k: v for k, v in step.items() if k != '_scope_'} for step in pipeline]


@pytest.mark.parametrize('path', PUBLISHED)
def test_fine_tuning_config_says_what_was_published(path):
    config = load_config(CONFIGS / 'transfer' / path)
    assert differences(PUBLISHED[path], config.to_dict()) == []
    assert config.test_evaluator == config.val_evaluator
    data = config.train_dataloader.dataset
    for part in data.get('datasets', [data]):
        assert steps(part.pipeline) == steps(config.train_pipeline)
    assert config.test_dataloader == config.val_dataloader
    assert steps(config.test_dataloader.dataset.pipeline) == steps(config.test_pipeline)
    assert config.default_hooks.checkpoint.type == 'mmdssl.SafeCheckpointHook'


def test_the_table_holds_every_published_config():
    found = {
        path.relative_to(CONFIGS / 'transfer').as_posix()
        for word in ('vit-small', 'r50')
        for path in (CONFIGS / 'transfer').glob(f'*_*/*{word}*.py')
        if path.parent.name != '_base_'
    }
    assert found == set(PUBLISHED)


@pytest.mark.parametrize('data', ['voc12', 'coco-stuff'])
def test_overclustering_is_as_published(data):
    """Token maps of 448 px, PCA to 50, K = 500 from 100 iterations and 5 starts, 5 seeds."""
    init_default_scope('mmdssl')
    name = f'overclustering-k500_vit-small-p16_{data}.py'
    found = filled(load_config(CONFIGS / 'transfer/overclustering' / name).to_dict())
    test = dict(VOC[1], classes='nothing') if data == 'voc12' else STUFF[1]
    test.pop('classes')
    steps = [dict(type='LoadImage'), dict(type='LoadSemanticMap')]
    resize = dict(type='ResizeWithMap', size=448, map_size=100)
    wanted = dict(
        model=dict(backbone=dict(type='DenseViT', arch='deit-small', patch_size=16)),
        test_dataloader=dict(dataset=dict(test, pipeline=[*steps, resize, {}])),
        test_evaluator=dict(
            num_clusters=500,
            match=('precision', 'iou', 'hungarian'),
            pca_dim=50,
            iterations=100,
            restarts=5,
            start='random',
            points_per_cluster=256,
            seeds=(0, 1, 2, 3, 4),
        ),
    )
    assert differences(wanted, found) == []
    classes = found['test_dataloader']['dataset']['classes']
    assert len(classes) == len(set(classes)) == (21 if data == 'voc12' else 15)
    if data == 'coco-stuff':
        assert tuple(classes) == STUFF_CLASSES
