"""What reaches the evaluation of an image: pixels, boxes, labels, tag."""

import numpy as np
import torch
from mmengine.dataset import default_collate

from mmdssl.datasets.transforms.packing_objects import PackObjects


def results(objects: int) -> dict:
    rng = np.random.default_rng(objects)
    return dict(
        img=rng.integers(0, 256, (4, 6, 3)).astype(np.uint8),
        gt_bboxes=rng.uniform(0, 4, (objects, 4)).astype(np.float32),
        gt_labels=np.arange(objects),
        img_id=5,
        sample_idx=2,
        tag='bank',
        dataset=object(),
    )


def test_pixels_boxes_labels_and_tag_are_packed():
    given = results(2)
    packed = PackObjects().transform(dict(given))
    assert packed['inputs'].dtype == torch.uint8
    np.testing.assert_array_equal(packed['inputs'].numpy(), given['img'].transpose(2, 0, 1))
    sample = packed['data_samples']
    np.testing.assert_array_equal(sample.gt_instances.bboxes.numpy(), given['gt_bboxes'])
    assert sample.gt_instances.bboxes.dtype == torch.float32
    assert sample.gt_instances.labels.tolist() == [0, 1]
    assert (sample.tag, sample.img_id, sample.sample_idx) == ('bank', 5, 2)
    assert 'dataset' not in sample


def test_images_with_different_numbers_of_objects_collate():
    packed = [PackObjects().transform(results(n)) for n in (0, 2, 1)]
    batch = default_collate(packed)
    assert batch['inputs'].shape == (3, 3, 4, 6)
    assert [len(s.gt_instances.labels) for s in batch['data_samples']] == [0, 2, 1]
    assert batch['data_samples'][0].gt_instances.bboxes.shape == (0, 4)
