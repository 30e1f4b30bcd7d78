"""Which object a pixel belongs to, out of outlines and out of label maps."""

import numpy as np
import pytest

from mmdssl.datasets.instance_masks import InstanceMasks
from mmdssl.datasets.transforms import InstanceMap, PackObjects, PackSemantic


def square(x, y, side):
    return [np.array([x, y, x + side, y, x + side, y + side, x, y + side], float)]


def test_outlines_give_ids_and_the_smaller_is_on_top():
    masks = InstanceMasks((8, 8), (square(0, 0, 6), square(2, 2, 2)))
    results = InstanceMap()(dict(img=np.zeros((8, 8, 3), np.uint8), gt_masks=masks))
    drawn = results['gt_instance_map']
    assert drawn[0, 0] == 1
    assert drawn[3, 3] == 2
    assert drawn[7, 7] == 0
    assert (drawn == 2).sum() == 4


def test_parts_of_a_label_map_are_objects():
    labels = np.zeros((4, 6), np.uint8)
    labels[0, :2], labels[0, 4:], labels[1, 2], labels[3] = 5, 5, 5, 255
    drawn = InstanceMap()(dict(gt_seg_map=labels))['gt_instance_map']
    assert drawn[0].tolist() == [1, 1, 0, 0, 2, 2]
    assert drawn[1, 2] == 3  # it touches the first by a corner only
    assert (drawn[3] == 255).all()
    everything = InstanceMap(background=None)(dict(gt_seg_map=labels))['gt_instance_map']
    assert (everything[:3] > 0).all()


def test_no_object_has_the_id_of_ignored_pixels():
    labels = np.zeros((1, 600), np.uint8)
    labels[0, ::2] = 1
    drawn = InstanceMap()(dict(gt_seg_map=labels))['gt_instance_map']
    assert sorted(set(drawn[0, ::2])) == [*range(1, 255), *range(256, 302)]


def test_the_map_travels_with_both_ways_of_packing():
    results = dict(
        img=np.zeros((4, 4, 3), np.uint8), gt_seg_map=np.eye(4, dtype=np.uint8),
        gt_bboxes=np.zeros((0, 4)), gt_labels=np.zeros(0),
    )  # fmt: skip
    results = InstanceMap()(results)
    for pack in (PackObjects(), PackSemantic()):
        sample = pack(dict(results))['data_samples']
        assert (sample.gt_instance_map.numpy() == results['gt_instance_map']).all()
        assert (sample.gt_seg_map.numpy() == np.eye(4)).all()


def test_an_image_without_either_is_named():
    with pytest.raises(ValueError, match=r'InstanceMap: a\.jpg has neither outlines nor a label'):
        InstanceMap()(dict(img_path='a.jpg', img=np.zeros((2, 2, 3))))
