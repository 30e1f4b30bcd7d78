"""Scenes of five channels: 12 bits, the same objects, and channels that colours do not tell."""

import json

import numpy as np
import pytest

from mmdssl.datasets import CocoObjects
from mmdssl.datasets.channels.files import read_samples
from mmdssl.datasets.scenes import SceneSpec, draw_layout, render, write_scenes
from mmdssl.datasets.scenes.bands import BANDS, to_bands

pytest.importorskip('tifffile')
SPEC = SceneSpec(size=64, objects=(2, 5), scale=(0.2, 0.4))


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp('scenes')
    return out, write_scenes(out, SPEC, images=3, val_images=1, progress=False, channels=5)


def test_files_hold_what_was_drawn(written):
    out, record = written
    layout = draw_layout(SPEC, 'train', 1)
    bands = to_bands(render(SPEC, layout, 'train', 1), SPEC, layout, 'train', 1)
    found = read_samples(out / 'train' / '000001.tif', 5).values
    np.testing.assert_array_equal(found, bands.transpose(1, 2, 0))
    assert found.dtype == np.uint16
    assert 3000 < found.max() <= 4095
    assert record['channels'] == list(BANDS)


def test_the_first_three_are_the_picture(written):
    layout = draw_layout(SPEC, 'train', 0)
    image = render(SPEC, layout, 'train', 0)
    bands = to_bands(image, SPEC, layout, 'train', 0)
    assert np.abs(bands[:3].transpose(1, 2, 0) / 4095 - image / 255).mean() < 0.01


def test_near_infrared_tells_the_class_and_temperature_the_object():
    layout = draw_layout(SPEC, 'train', 2)
    bands = to_bands(render(SPEC, layout, 'train', 2), SPEC, layout, 'train', 2)
    labels = layout.semantic()
    ground = bands[:, labels == 0]
    for label in np.unique(labels[labels > 0]):
        own = bands[3, labels == label]
        assert own.std() < 30  # noise
        assert own.mean() > ground[0].min() + 0.1 * 4095
        assert own.mean() > ground[3].mean() + 0.1 * 4095
    for number in range(len(layout.objects)):
        inside = layout.mask(number)
        assert bands[4, inside].mean() > np.median(ground[4])


def test_annotations_name_the_files(written):
    out, _ = written
    dataset = CocoObjects(
        data_root=str(out),
        ann_file='annotations/instances_train.json',
        data_prefix='train/',
        pipeline=[dict(type='LoadImage', channels=5, scale=4095)],
    )
    sample = dataset[0]
    assert sample['img'].shape == (64, 64, 5)
    assert len(sample['gt_bboxes']) >= 2


def test_a_folder_of_other_channels_is_refused_and_photos_say_nothing_of_them(written, tmp_path):
    out, _ = written
    with pytest.raises(ValueError, match='scenes of other channels'):
        write_scenes(out, SPEC, images=3, val_images=1, progress=False)
    write_scenes(tmp_path / 's', SPEC, images=1, val_images=0, progress=False)
    assert 'channels' not in json.loads((tmp_path / 's' / 'scenes.json').read_text())
    with pytest.raises(ValueError, match='3 or 5 channels, not 4'):
        write_scenes(tmp_path / 't', SPEC, images=1, val_images=0, channels=4)
