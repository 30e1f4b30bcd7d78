import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from mmdssl.datasets.transforms.views import (
    RandomFlipWithBoxes,
    RandomResizedCropWithBoxes,
    ResizeWithBoxes,
    resize_image,
)

COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


def painted(height=200, width=300):
    """An image with a coloured rectangle for each of three boxes, on black."""
    boxes = np.array([[20, 30, 120, 90], [150, 20, 280, 110], [60, 120, 220, 190]], np.float32)
    image = np.zeros((height, width, 3), np.uint8)
    for color, (x1, y1, x2, y2) in zip(COLORS, boxes.astype(int), strict=True):
        image[y1:y2, x1:x2] = color
    return dict(img=image, gt_bboxes=boxes, gt_labels=np.array([0, 1, 2]))


def assert_boxes_bound_their_colors(results, tolerance):
    """Each box encloses exactly the pixels of its colour, up to the blur of resizing."""
    image = results['img'].astype(int)
    for box, label in zip(results['gt_bboxes'], results['gt_labels'], strict=True):
        other = np.delete(image, label, axis=2).max(-1)
        inside = (image[..., label] > 127) & (other < 128)
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        if not len(rows) or (box[2:] - box[:2]).min() <= 2 * tolerance:
            continue
        edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(box, edges, atol=tolerance)


@pytest.mark.parametrize('interpolation', ['bicubic', 'bilinear', 'nearest'])
@pytest.mark.parametrize('size', [224, (96, 160)])
def test_crop_moves_boxes_with_the_pixels(size, interpolation):
    np.random.seed(0)
    crop = RandomResizedCropWithBoxes(size=size, scale=(0.2, 1.0), interpolation=interpolation)
    seen = 0
    for _ in range(60):
        results = crop(painted())
        shape = (size, size) if isinstance(size, int) else size
        assert results['img'].shape == (*shape, 3)
        assert results['img'].dtype == np.uint8
        assert results['img_shape'] == shape
        assert_boxes_bound_their_colors(results, tolerance=1.6)
        seen += len(results['gt_bboxes'])
    assert 60 < seen < 180  # some were dropped


@pytest.mark.parametrize('direction', ['horizontal', 'vertical'])
def test_flip_moves_boxes_with_the_pixels(direction):
    before = painted()
    results = RandomFlipWithBoxes(prob=1.0, direction=direction)(painted())
    axis = 1 if direction == 'horizontal' else 0
    np.testing.assert_array_equal(results['img'], np.flip(before['img'], axis))
    assert_boxes_bound_their_colors(results, tolerance=0)
    again = RandomFlipWithBoxes(prob=1.0, direction=direction)(results)
    np.testing.assert_array_equal(again['gt_bboxes'], before['gt_bboxes'])
    assert again['flip'] == (False, False)


def test_resize_moves_boxes_and_drops_none():
    data = painted()
    data['gt_bboxes'][0] = 0  # empty already
    results = ResizeWithBoxes(size=(100, 75))(data)
    assert results['img'].shape == (100, 75, 3)
    assert len(results['gt_bboxes']) == 3
    results['gt_bboxes'], results['gt_labels'] = results['gt_bboxes'][1:], np.array([1, 2])
    assert_boxes_bound_their_colors(results, tolerance=1.0)


def test_crop_then_flip_then_crop_keeps_boxes_and_crop_box_right():
    np.random.seed(1)
    steps = [
        RandomResizedCropWithBoxes(size=150, scale=(0.4, 0.9)),
        RandomFlipWithBoxes(prob=0.5),
        RandomFlipWithBoxes(prob=0.5, direction='vertical'),
        RandomResizedCropWithBoxes(size=(120, 90), scale=(0.4, 0.9)),
    ]
    for _ in range(40):
        results = painted()
        source = results['gt_bboxes'].copy()
        for step in steps:
            results = step(results)
        assert_boxes_bound_their_colors(results, tolerance=2.5)
        # crop_box and flip alone lead from the source boxes to the same place
        (x1, y1, x2, y2), flips = results['crop_box'], results['flip']
        unit = (source - [x1, y1, x1, y1]) / [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
        for axis, flipped in enumerate(flips):
            if flipped:
                unit[:, [axis, axis + 2]] = 1 - unit[:, [axis + 2, axis]]
        want = unit.clip(0, 1)[results['gt_bboxes_ids']] * [90, 120, 90, 120]
        np.testing.assert_allclose(results['gt_bboxes'], want, atol=0.05)


def test_empty_boxes_are_kept_for_views_that_must_match():
    np.random.seed(2)
    crop = RandomResizedCropWithBoxes(size=64, scale=(0.14, 0.2), drop_empty=False)
    for _ in range(20):
        results = crop(painted())
        assert results['gt_bboxes_ids'].tolist() == [0, 1, 2]
        assert results['gt_labels'].tolist() == [0, 1, 2]


def test_min_visible_drops_boxes_seen_too_little():
    np.random.seed(3)
    crop = RandomResizedCropWithBoxes(size=64, scale=(0.2, 0.5), min_visible=0.5)
    for _ in range(40):
        results = crop(painted())
        x1, y1, x2, y2 = results['crop_box']
        source = painted()['gt_bboxes']
        overlap = np.minimum(source[:, 2:], [x2, y2]) - np.maximum(source[:, :2], [x1, y1])
        visible = overlap.clip(0).prod(1) / (source[:, 2:] - source[:, :2]).prod(1)
        assert results['gt_bboxes_ids'].tolist() == np.flatnonzero(visible >= 0.5).tolist()


@pytest.mark.parametrize('shape', [(200, 300), (400, 100), (33, 500)])
def test_crops_are_sampled_as_torchvision_samples_them(shape):
    height, width = shape
    image = torch.zeros(3, height, width)
    torch.manual_seed(0)
    np.random.seed(0)
    count = 2000
    theirs = np.array(
        [
            RandomResizedCrop.get_params(image, [0.14, 1.0], [3 / 4, 4 / 3])  # top, left, h, w
            for _ in range(count)
        ]
    )[:, [1, 0, 3, 2]]
    crop = RandomResizedCropWithBoxes(size=8, scale=(0.14, 1.0))
    ours = np.array([crop.sample(height, width) for _ in range(count)])
    for sampled in (theirs, ours):
        assert (sampled[:, :2] >= 0).all()
        assert (sampled[:, 0] + sampled[:, 2]).max() <= width
        assert (sampled[:, 1] + sampled[:, 3]).max() <= height
    for levels in (0.05, 0.25, 0.5, 0.75, 0.95):
        error = np.abs(np.quantile(ours, levels, axis=0) - np.quantile(theirs, levels, axis=0))
        assert (error <= 0.05 * np.array([width, height, width, height]) + 1).all()


def test_crops_reach_all_four_sides():
    crop = RandomResizedCropWithBoxes(size=8, scale=(0.3, 0.6))
    np.random.seed(0)
    left, top, width, height = np.array([crop.sample(14, 22) for _ in range(1000)]).T
    assert left.min() == top.min() == 0
    assert (left + width).max() == 22
    assert (top + height).max() == 14
    # the last place is as likely as any other
    for start, side, full in ((left, width, 22), (top, height, 14)):
        places = full - side + 1
        wanted = (1 / places).mean()
        assert (start + side == full).mean() == pytest.approx(wanted, abs=0.04)
        assert (start == 0).mean() == pytest.approx(wanted, abs=0.04)


def test_fallback_is_the_largest_central_crop_within_the_ratio():
    crop = RandomResizedCropWithBoxes(size=8, scale=(1.0, 1.0))
    assert crop.sample(100, 1000) == (433, 0, 133, 100)
    assert crop.sample(1000, 100) == (0, 433, 100, 133)


@pytest.mark.parametrize(('interpolation', 'mode'), [('bicubic', 3), ('bilinear', 2)])
def test_resizing_agrees_with_pillow(interpolation, mode):
    rng = np.random.default_rng(4)
    coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8))
    for height, width in ((300, 400), (90, 120)):  # shrink and enlarge
        image = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).copy()
        got = resize_image(image, (224, 200), interpolation)
        want = np.asarray(Image.fromarray(image).resize((200, 224), Image.Resampling(mode)))
        difference = np.abs(got.astype(int) - want)
        assert difference.max() <= 4
        assert difference.mean() < 0.1


def test_pixels_given_are_shared_and_never_written_to():
    source = painted()
    frozen = source['img'].copy()
    np.random.seed(5)
    for step in (
        RandomResizedCropWithBoxes(size=200, scale=(1.0, 1.0)),
        RandomFlipWithBoxes(prob=1.0),
        ResizeWithBoxes(size=(200, 300)),
    ):
        results = step(dict(source))
        results['img'][:] = 99
        np.testing.assert_array_equal(source['img'], frozen)


def test_flip_leaves_the_image_alone_when_not_drawn():
    data = painted()
    assert RandomFlipWithBoxes(prob=0.0)(data)['img'] is data['img']


def test_only_the_box_keys_named_are_moved():
    data = painted()
    data['regions'] = data['gt_bboxes'].copy()
    results = ResizeWithBoxes(size=20, box_keys=('regions',))(data)
    assert results['regions'].max() <= 20
    assert results['gt_bboxes'].max() == 280
    assert results['regions_ids'].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ('transform', 'settings', 'message'),
    [
        (RandomResizedCropWithBoxes, dict(size=0), 'size'),
        (RandomResizedCropWithBoxes, dict(size=8, scale=(0.5, 2.0)), 'scale'),
        (RandomResizedCropWithBoxes, dict(size=8, ratio=(2, 1)), 'ratio'),
        (RandomResizedCropWithBoxes, dict(size=8, interpolation='lanczos'), "'bicubic'"),
        (RandomResizedCropWithBoxes, dict(size=8, min_visible=2), 'min_visible'),
        (RandomFlipWithBoxes, dict(prob=1.5), 'prob'),
        (RandomFlipWithBoxes, dict(direction='left'), "'horizontal', 'vertical'"),
        (ResizeWithBoxes, dict(size=(3, 4, 5)), 'size'),
    ],
)
def test_settings_out_of_range_are_named(transform, settings, message):
    with pytest.raises(ValueError, match=message):
        transform(**settings)
