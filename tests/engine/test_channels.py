"""A config with ``channels`` becomes whole; one of photos stays as it is."""

import numpy as np
import pytest
from mmengine.config import Config

from mmdssl.engine.channels import complete_channels

IMAGENET = [123.675, 116.28, 103.53]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    (tmp_path / 'images').mkdir()
    values = np.random.default_rng(0).integers(0, 4096, (3, 5, 16, 20)).astype(np.uint16)
    for number, one in enumerate(values):
        np.save(tmp_path / 'images' / f'{number}.npy', one)
    return str(tmp_path / 'images')


def config(data, *, backbone='DenseViT', **more):
    load = [dict(type='LoadImage'), dict(type='SelectObjects')]
    disturbed = dict(type='CocoObjects', pipeline=[dict(type='DisturbBackground')])
    return Config(
        dict(
            model=dict(backbone=dict(type=backbone), teacher=dict(mean=IMAGENET, std=IMAGENET)),
            data_preprocessor=dict(type='MultiViewPreprocessor', mean=IMAGENET, std=IMAGENET),
            train_dataloader=dict(dataset=dict(type='ImageFolder', data_root=data, **more)),
            object_knn_dataloader=dict(
                dataset=dict(pipeline=load, datasets=dict(bank_disturbed=disturbed))
            ),
        )
    )


def test_range_statistics_network_and_measures_follow(data):
    made = config(data, channels=5, dtype='uint8')
    found = complete_channels(made)
    dataset = made.train_dataloader.dataset
    assert dataset.scale == [list(pair) for pair in found.scale]
    assert made.data_preprocessor.mean == list(found.mean)
    assert made.data_preprocessor.std == list(found.std)
    assert made.model.backbone.in_channels == 5
    assert made.model.teacher.mean is None
    reading = dict(type='LoadImage', channels=5, scale=dataset.scale, dtype='uint8')
    measured = made.object_knn_dataloader.dataset
    assert measured.pipeline[0] == reading
    assert measured.pipeline[1] == dict(type='SelectObjects')
    assert measured.datasets.bank_disturbed.pipeline[0].load == [reading]
    # What is whole stays, and nothing is measured again.
    before = made.to_dict()
    assert complete_channels(made) is None
    assert made.to_dict() == before


def test_what_is_stated_stays(data):
    made = config(data, channels=5, scale=4095)
    made.data_preprocessor.update(mean=[100.0] * 5, std=[50.0] * 5)
    assert complete_channels(made) is None
    assert made.train_dataloader.dataset.scale == 4095
    assert made.data_preprocessor.mean == [100.0] * 5


def test_three_channels_leave_network_and_teacher(data):
    values = np.zeros((3, 8, 8), np.uint16) + np.arange(8, dtype=np.uint16)
    for number in range(3):
        np.save(f'{data}/{number}.npy', values)
    made = config(data, channels=3, backbone='TimmBackbone')
    complete_channels(made)
    assert 'in_channels' not in made.model.backbone
    assert made.model.teacher.mean == IMAGENET
    assert made.data_preprocessor.mean != IMAGENET  # theirs, measured


def test_photos_are_left_alone(data):
    made = config(data)
    before = made.to_dict()
    assert complete_channels(made) is None
    assert made.to_dict() == before


def test_what_cannot_take_them_is_refused(data):
    with pytest.raises(ValueError, match=r'TimmBackbone takes R, G, B, and .* 5 channels'):
        complete_channels(config(data, channels=5, backbone='TimmBackbone'))
    made = config(data, channels=5)
    made.model.backbone.in_channels = 4
    with pytest.raises(ValueError, match='5 channels, and the backbone has in_channels=4'):
        complete_channels(made)
    made = config(data, channels=3)
    made.model.backbone.in_channels = 5
    with pytest.raises(ValueError, match='3 channels, and the backbone has in_channels=5'):
        complete_channels(made)
