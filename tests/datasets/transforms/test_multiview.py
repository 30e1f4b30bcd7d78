import numpy as np
import pytest

from mmdssl.datasets.transforms.multiview import MultiViewWithBoxes
from mmdssl.registry import TRANSFORMS


def sample():
    rng = np.random.default_rng(0)
    return dict(
        img=rng.integers(0, 256, (120, 160, 3), np.uint8),
        img_path='a.jpg',
        gt_bboxes=np.array([[10, 10, 60, 70], [80, 20, 150, 100]], np.float32),
        gt_labels=np.array([3, 4]),
    )


def crop(size):
    return [dict(type='RandomResizedCropWithBoxes', size=size, scale=(0.3, 1.0), drop_empty=False)]


def test_any_number_of_global_and_local_views():
    np.random.seed(0)
    views = MultiViewWithBoxes(num_views=[2, 4], pipelines=[crop(64), crop(32)])(sample())['views']
    assert [view['img'].shape[0] for view in views] == [64] * 2 + [32] * 4
    assert [view['view_index'] for view in views] == [0] * 2 + [1] * 4
    boxes = np.stack([view['gt_bboxes'] for view in views])
    assert len(np.unique(boxes, axis=0)) == 6  # each view has its own crop
    assert all(view['gt_bboxes_ids'].tolist() == [0, 1] for view in views)
    assert all(view['img_path'] == 'a.jpg' for view in views)


def test_views_share_pixels_and_own_their_boxes():
    data = sample()
    pixels, boxes = data['img'].copy(), data['gt_bboxes'].copy()

    class Spoil:
        def __call__(self, results):
            assert results['img'] is data['img']
            results['gt_bboxes'][:] = -1
            results['gt_labels'][:] = -1
            return results

    results = MultiViewWithBoxes(num_views=[1, 1], pipelines=[[Spoil()], crop(32)])(data)
    np.testing.assert_array_equal(data['gt_bboxes'], boxes)
    np.testing.assert_array_equal(data['gt_labels'], [3, 4])
    np.testing.assert_array_equal(data['img'], pixels)
    assert (results['views'][0]['gt_bboxes'] == -1).all()
    assert (results['views'][1]['gt_labels'] == [3, 4]).all()


def test_every_view_gets_its_own_regions_and_masks():
    view = [
        *crop(64),
        dict(type='RandomFlipWithBoxes'),
        dict(type='GridRegions'),
        dict(type='RegionCollaborativeCutout', ratio=0.4, mask_size=8),
    ]
    np.random.seed(1)
    views = MultiViewWithBoxes(num_views=2, pipelines=[view])(sample())['views']
    assert (views[0]['regions'] != views[1]['regions']).any()
    assert (views[0]['mask'] != views[1]['mask']).any()


@pytest.mark.parametrize('num_views', [[1], [1, 1, 1], [1, 0], 2, []])
def test_counts_and_pipelines_must_match(num_views):
    with pytest.raises(ValueError, match='one count >= 1 for each of the pipelines'):
        MultiViewWithBoxes(num_views=num_views, pipelines=[crop(8), crop(8)])


def test_transforms_are_registered_under_their_names():
    names = (
        'GridRegions RegionCollaborativeCutout ProposalCutout BlockwiseMask RandomPatchMask '
        'RectangleForeground RandomResizedCropWithBoxes RandomFlipWithBoxes ResizeWithBoxes '
        'MultiViewWithBoxes PackViews'
    )
    assert all(TRANSFORMS.get(name).__name__ == name for name in names.split())
