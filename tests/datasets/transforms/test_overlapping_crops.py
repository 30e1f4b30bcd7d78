import numpy as np
import pytest
import torch

from mmdssl.datasets.transforms.overlapping_crops import (
    OverlappingCrops,
    overlap_boxes,
    overlaps,
)
from mmdssl.datasets.transforms.packing import PackViews
from tests.golden import Golden, assert_close

GLOBAL = [
    dict(type='RandomResizedCropWithBoxes', size=64, scale=(0.25, 1.0), interpolation='bilinear')
]
LOCAL = [
    dict(type='RandomResizedCropWithBoxes', size=32, scale=(0.05, 0.25), interpolation='bilinear')
]


def build(**kwargs):
    return OverlappingCrops(**{'num_views': [2, 4], 'pipelines': [GLOBAL, LOCAL], **kwargs})


def image(height=120, width=160):
    """Pixels that tell where they come from."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([columns, rows, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_every_crop_overlaps_every_earlier_global_crop():
    np.random.seed(0)
    transform, area = build(), 120 * 160
    for _ in range(300):
        windows = transform.draw_windows(120, 160)
        assert overlaps(windows[0], windows[1:2])[0] > 0.02 * area
        for local in windows[2:]:
            assert min(overlaps(local, windows[:2])) > 0.01 * area


@pytest.mark.parametrize(('between_globals', 'of_locals'), [(0.2, 0.0), (0.0, 0.04)])
def test_each_kind_of_view_has_a_demand_of_its_own(between_globals, of_locals):
    np.random.seed(0)
    transform, area = build(min_overlap_global=between_globals, min_overlap=of_locals), 120 * 160
    drawn = [transform.draw_windows(120, 160) for _ in range(100)]
    globals_ = [overlaps(one[0], one[1:2])[0] / area for one in drawn]
    locals_ = [min(overlaps(local, one[:2])) / area for one in drawn for local in one[2:]]
    for shared, demand, other in (
        (globals_, between_globals, 0.2),
        (locals_, of_locals, 0.04),
    ):
        assert min(shared) > demand
        assert (min(shared) > other) == (demand == other)


def test_demands_are_what_shapes_the_crops():
    """Without demands some crops would share nothing."""
    np.random.seed(0)
    free = build(min_overlap=0, min_overlap_global=0, tries=1)
    free._draw = lambda crop, earlier, demand, size: crop.sample(*size)
    shared = [
        min(overlaps(windows[place], windows[:2]))
        for windows in (free.draw_windows(120, 160) for _ in range(300))
        for place in range(2, 6)
    ]
    assert np.mean(np.array(shared) <= 0.01 * 120 * 160) > 0.1


def test_a_pixel_of_an_overlap_shows_the_same_place_in_both_views():
    np.random.seed(0)
    transform = build()
    for _ in range(20):
        views = transform(dict(img=image()))['views']
        assert [view['img'].shape[0] for view in views] == [64, 64, 32, 32, 32, 32]
        for g in range(2):
            assert views[g]['boxes_in_global'].shape == (6, 4)
            np.testing.assert_array_equal(views[g]['boxes_in_global'][g], [0, 0, 64, 64])
            for v, view in enumerate(views):
                assert view['boxes_in_other'].shape == (2, 4)
                seen = []
                for one, box in (
                    (views[g], views[g]['boxes_in_global'][v]),
                    (view, view['boxes_in_other'][g]),
                ):
                    x1, y1, x2, y2 = one['crop_box']
                    side = one['img'].shape[0]
                    scale = np.array([x2 - x1, y2 - y1] * 2) / side
                    seen.append(box * scale + np.array([x1, y1] * 2))
                    middle = ((box[:2] + box[2:]) / 2).astype(int)
                    shown = one['img'][middle[1], middle[0], :2].astype(float)
                    place = (middle + 0.5) * scale[:2] + (x1, y1) - 0.5
                    assert np.abs(shown - place).max() <= 1.01 * scale.max() + 1
                np.testing.assert_allclose(seen[0], seen[1], atol=1e-3)
        assert all('boxes_in_global' not in view for view in views[2:])


def test_packs_boxes_of_all_views():
    np.random.seed(0)
    packed = PackViews(keys=('boxes_in_global', 'boxes_in_other'))(build()(dict(img=image())))
    assert [tuple(b.shape) for b in packed['inputs']['boxes_in_global']] == [(6, 4)] * 2
    assert [tuple(b.shape) for b in packed['inputs']['boxes_in_other']] == [(2, 4)] * 6


@pytest.mark.parametrize('size', [(8, 800), (800, 8), (1, 500), (3, 3)])
def test_images_of_any_shape_end_with_boxes_that_have_an_area(size):
    np.random.seed(0)
    for _ in range(10):
        for view in build(tries=20)(dict(img=np.zeros((*size, 3), np.uint8)))['views']:
            boxes = view['boxes_in_other']
            assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_masks_may_follow_but_crops_and_flips_may_not():
    mask = [
        dict(type='GridRegions', key='dc_regions', stream='dc'),
        dict(
            type='RegionCollaborativeCutout',
            ratio=(0.3, 0.5),
            mask_size=8,
            regions_key='dc_regions',
            key='dc_mask',
            stream='dc',
        ),
    ]
    views = build(pipelines=[GLOBAL + mask, LOCAL])(dict(img=image()))['views']
    assert views[1]['dc_mask'].any()
    with pytest.raises(ValueError, match='crops or flips behind its first step'):
        build(pipelines=[[*GLOBAL, dict(type='RandomFlipWithBoxes', prob=1.0)], LOCAL])(
            dict(img=image())
        )
    with pytest.raises(ValueError, match='crops or flips behind its first step'):
        build(pipelines=[GLOBAL * 2, LOCAL])(dict(img=image()))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(num_global_views=0), 'num_global_views is 0, give 1 to 6'),
        (dict(num_global_views=7), 'num_global_views is 7'),
        (dict(tries=0), 'tries is 0'),
        (dict(min_overlap=1.5), 'min_overlap'),
        (
            dict(pipelines=[GLOBAL, [dict(type='ResizeWithBoxes', size=32)]]),
            'make RandomResizedCrop',
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


@pytest.mark.golden
def test_boxes_equal_the_official_ones(shared):
    golden = Golden.load(shared('golden/leopart.npz'))
    crops, count = golden['crop_boxes_in_image'], golden['cfg_nmb'][0].item()
    sides = [
        golden.number('cfg_gc' if view < count else 'cfg_lc') for view in range(crops.shape[1])
    ]
    for image_, boxes in enumerate(crops.tolist()):
        windows = [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
        for view, window in enumerate(windows):
            size = (sides[view], sides[view])
            other = overlap_boxes(window, windows[:count], size)
            assert_close(golden['boxes_in_other'][image_, view], torch.from_numpy(other))
            if view < count:
                every = overlap_boxes(window, windows, size)
                assert_close(golden['boxes_in_global'][image_, view], torch.from_numpy(every))
