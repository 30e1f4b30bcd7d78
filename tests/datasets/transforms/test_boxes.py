import numpy as np
import pytest

from mmdssl.datasets.transforms.boxes import box_area, clip_boxes, move_boxes

BOXES = np.array([[0, 0, 10, 10], [40, 40, 60, 60], [95, 95, 100, 100]], np.float32)


def moved(**settings):
    results = dict(gt_bboxes=BOXES.copy(), gt_labels=np.array([7, 8, 9]))
    # The window x, y in [50, 100) of a 100 px image, enlarged to 100 px.
    move_boxes(
        results, keys=('gt_bboxes',), scale=(2, 2), shift=(-100, -100), size=(100, 100), **settings
    )
    return results


def test_boxes_move_and_are_clipped():
    results = moved()
    assert results['gt_bboxes'].dtype == np.float32
    np.testing.assert_allclose(
        results['gt_bboxes'], [[0, 0, 0, 0], [0, 0, 20, 20], [90, 90, 100, 100]]
    )


def test_empty_boxes_are_kept_as_zeros_or_dropped_with_ids_and_labels():
    kept, dropped = moved(drop_empty=False), moved(drop_empty=True)
    assert kept['gt_bboxes_ids'].tolist() == [0, 1, 2]
    assert kept['gt_labels'].tolist() == [7, 8, 9]
    assert dropped['gt_bboxes_ids'].tolist() == [1, 2]
    assert dropped['gt_labels'].tolist() == [8, 9]
    assert len(dropped['gt_bboxes']) == 2


@pytest.mark.parametrize(('min_visible', 'left'), [(0.0, [1, 2]), (0.25, [1, 2]), (0.26, [2])])
def test_visible_share_is_of_the_area_before_clipping(min_visible, left):
    # a quarter of box 1 is inside the window
    assert moved(min_visible=min_visible, drop_empty=True)['gt_bboxes_ids'].tolist() == left


def test_ids_survive_several_steps():
    results = moved(drop_empty=True)
    move_boxes(
        results,
        keys=('gt_bboxes',),
        scale=(1, 1),
        shift=(-50, -50),
        size=(50, 50),
        drop_empty=True,
    )
    assert results['gt_bboxes_ids'].tolist() == [2]


def test_given_ids_are_kept():
    results = dict(proposals=BOXES, proposals_ids=np.array([5, 3, 1]))
    move_boxes(
        results, keys=('proposals',), scale=(1, 1), shift=(0, 0), size=(50, 50), drop_empty=True
    )
    assert results['proposals_ids'].tolist() == [5, 3]


def test_arrays_given_are_not_written_to():
    boxes, ids = BOXES.copy(), np.arange(3)
    results = dict(regions=boxes, regions_ids=ids)
    move_boxes(results, keys=('regions',), scale=(-1, 1), shift=(100, 0), size=(100, 100))
    np.testing.assert_array_equal(boxes, BOXES)
    np.testing.assert_array_equal(results['regions'][1], [40, 40, 60, 60])
    np.testing.assert_array_equal(results['regions'][0], [90, 0, 100, 10])


def test_no_boxes_at_all_is_fine():
    results = dict(gt_bboxes=np.zeros((0, 4), np.float32), gt_labels=np.zeros(0, np.int64))
    move_boxes(
        results,
        keys=('gt_bboxes', 'regions'),
        scale=(1, 1),
        shift=(0, 0),
        size=(9, 9),
        drop_empty=True,
    )
    assert results['gt_bboxes'].shape == (0, 4)
    assert 'regions' not in results


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"results\['regions'\] has shape \(2, 5\)"):
        move_boxes(
            dict(regions=np.zeros((2, 5))),
            keys=('regions',),
            scale=(1, 1),
            shift=(0, 0),
            size=(9, 9),
        )


def test_area_and_clipping():
    boxes = np.array([[-5, -5, 5, 5], [3, 3, 1, 1]], np.float32)
    assert box_area(boxes).tolist() == [100, 0]
    np.testing.assert_array_equal(clip_boxes(boxes, 4, 3)[0], [0, 0, 3, 4])
