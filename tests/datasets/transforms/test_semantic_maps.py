"""Label maps: drawn from outlines, resized without new values."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdssl.datasets.transforms.semantic_maps import (
    PackSemantic,
    RandomResizedCropWithMap,
    ResizeWithMap,
)
from mmdssl.datasets.transforms.views import resize_image
from mmdssl.registry import DATASETS


def rectangle(x: int, y: int, w: int, h: int) -> list[list[int]]:
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def test_objects_become_a_map_with_the_smaller_on_top(tmp_path: Path):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / 'a.png')
    boxes = [(7, 4, 4, 6, 6), (5, 2, 2, 16, 12)]  # the small one comes first in the file
    content = dict(
        images=[
            dict(id=1, file_name='a.png', height=20, width=30),
            dict(id=2, file_name='a.png', height=20, width=30),
        ],
        categories=[dict(id=5, name='big'), dict(id=7, name='small')],
        annotations=[
            dict(
                id=i, image_id=1, category_id=c, bbox=[x, y, w, h], iscrowd=0, area=w * h,
                segmentation=rectangle(x, y, w, h),
            )
            for i, (c, x, y, w, h) in enumerate(boxes)
        ],
    )  # fmt: skip
    (tmp_path / 'a.json').write_text(json.dumps(content))
    pipeline = [dict(type='LoadImage'), dict(type='MapFromObjects')]
    dataset = DATASETS.build(
        dict(type='CocoSemantic', ann_file='a.json', data_root=str(tmp_path), pipeline=pipeline)
    )
    assert dataset.metainfo['classes'] == ('background', 'big', 'small')
    want = np.zeros((20, 30), np.uint8)
    want[2:14, 2:18] = 1
    want[4:10, 4:10] = 2
    np.testing.assert_array_equal(dataset[0]['gt_seg_map'], want)
    assert not dataset[1]['gt_seg_map'].any()  # an image without objects is background


def test_a_map_is_resized_by_the_nearest_pixel_beside_its_image():
    labels = np.array([[0, 7], [255, 3]], np.uint8).repeat(30, 0).repeat(45, 1)
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    results = ResizeWithMap(size=(32, 48), map_size=10)(
        dict(img=image, gt_seg_map=labels, ori_shape=(60, 90))
    )
    assert results['img'].shape == (32, 48, 3)
    np.testing.assert_array_equal(
        results['gt_seg_map'], np.array([[0, 7], [255, 3]]).repeat(5, 0).repeat(5, 1)
    )
    assert results['ori_shape'] == (10, 10)
    packed = PackSemantic()(results)
    assert packed['inputs'].shape == (3, 32, 48)
    assert torch.equal(
        packed['data_samples'].gt_seg_map, torch.from_numpy(results['gt_seg_map'].copy())
    )


def test_a_crop_of_the_map_is_that_of_the_image():
    labels = np.add.outer(np.arange(40) // 10, 4 * (np.arange(80) // 20)).astype(np.uint8)
    image = np.repeat(labels[..., None] * 10, 3, axis=2)
    crop = RandomResizedCropWithMap(size=32, map_size=8)
    # Rows 10 to 30 and columns 20 to 60: two by two of the blocks.
    results = crop.crop(dict(img=image, gt_seg_map=labels), (20, 10, 40, 20))
    blocks = np.array([[5, 9], [6, 10]])
    np.testing.assert_array_equal(results['gt_seg_map'], blocks.repeat(4, 0).repeat(4, 1))
    np.testing.assert_array_equal(results['img'][4::16, 4::16, 0], 10 * blocks)
    assert 'ori_shape' not in results


def test_an_area_beyond_the_image_is_drawn_again():
    """Hummingbird's memory: areas of 0.5 to 2 of the image, of which 0.5 to 1 can be cut out."""
    crop = RandomResizedCropWithMap(size=8, scale=(0.5, 2.0))
    np.random.seed(0)
    areas = np.array([np.prod(crop.sample(60, 60)[2:]) / 3600 for _ in range(300)])
    assert 0.49 < areas.min() < 0.52
    assert 0.97 < areas.max() <= 1


def test_the_image_may_be_resized_bicubically_and_its_map_is_not():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    labels = rng.integers(0, 9, (40, 30)).astype(np.uint8)
    found = {}
    for how in ('bilinear', 'bicubic'):
        resize = ResizeWithMap(size=16, interpolation=how)
        found[how] = resize.transform(dict(img=image, gt_seg_map=labels))
        np.testing.assert_array_equal(found[how]['img'], resize_image(image, (16, 16), how))
    np.testing.assert_array_equal(*(one['gt_seg_map'] for one in found.values()))
    with pytest.raises(ValueError, match='interpolation'):
        ResizeWithMap(size=16, interpolation='nearest')
