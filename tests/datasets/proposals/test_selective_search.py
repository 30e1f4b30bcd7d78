from pathlib import Path

import numpy as np
import pytest

from mmdssl.datasets.decode import decode_image
from mmdssl.datasets.proposals import selective_search as search_module
from mmdssl.datasets.proposals.segments import describe_segments, felzenszwalb_segments
from mmdssl.datasets.proposals.selective_search import merge_segments, selective_search

pytest.importorskip('skimage')
from mmdssl.cli.benchmarks.proposals import plain_search


@pytest.fixture(scope='module')
def golden(shared):
    with np.load(shared('golden/proposals.npz')) as file:
        return dict(file)


def golden_pictures(golden, shared):
    """(stem, image) of the pictures of the file that are at hand."""
    for name in golden['names']:
        image = decode_image(shared(f'coco_mini/train2017/{name}'))
        mean = golden[f'{Path(name).stem}/image_mean_rgb']
        np.testing.assert_allclose(image.mean((0, 1)), mean, atol=1e-6)  # the same decoder
        yield Path(name).stem, image


def blobs(seed, height=60, width=80):
    """A noisy picture of flat patches, and patches as segments."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (6, 8, 3)).repeat(10, 0).repeat(10, 1)
    image = np.clip(patches + rng.integers(-9, 10, patches.shape), 0, 255).astype(np.uint8)
    labels = rng.permutation(20)[rng.integers(0, 20, (6, 8))].repeat(10, 0).repeat(10, 1)
    return image[:height, :width], labels[:height, :width]


@pytest.mark.golden
def test_regions_of_the_golden_segments_are_the_golden_ones_in_order(golden, shared):
    for stem, image in golden_pictures(golden, shared):
        regions = selective_search(image, labels=golden[f'{stem}/segment_label_map'])
        np.testing.assert_array_equal(regions.boxes, golden[f'{stem}/raw_xywh'])
        np.testing.assert_array_equal(regions.size, golden[f'{stem}/region_size'])
        assert regions.num_segments == golden[f'{stem}/initial_segments']


@pytest.mark.golden
def test_end_to_end_counts_are_within_the_stated_tolerance(golden, shared):
    settings = {key: golden[key].item() for key in ('scale', 'sigma', 'min_size')}
    for stem, image in golden_pictures(golden, shared):
        boxes = selective_search(image, **settings).boxes
        want = golden[f'{stem}/raw_xywh']
        assert abs(len(boxes) - len(want)) <= 0.2 * len(want)


@pytest.mark.parametrize('seed', range(4))
def test_boxes_equal_those_of_the_plain_search(seed):
    image, labels = blobs(seed)
    regions = selective_search(image, labels=labels)
    boxes, size = plain_search(image, labels)
    np.testing.assert_array_equal(regions.boxes, boxes)
    np.testing.assert_array_equal(regions.size, size)


def test_boxes_equal_those_of_the_plain_search_where_all_pairs_are_tied():
    image = np.full((40, 40, 3), 90, np.uint8)
    # Each segment lies in four pieces, mirrored: equal sizes, equal boxes, equal similarities.
    quarter = np.arange(16).reshape(4, 4)
    half = np.hstack([quarter, quarter[:, ::-1]])
    labels = np.vstack([half, half[::-1]]).repeat(5, 0).repeat(5, 1)
    regions = selective_search(image, labels=labels)
    np.testing.assert_array_equal(regions.boxes, plain_search(image, labels)[0])
    assert len(regions.boxes) > 16  # something was merged


def test_boxes_equal_those_of_the_plain_search_on_a_photo(shared):
    image = decode_image(shared('coco_mini/train2017/000000000359.jpg'))[::2, ::2].copy()
    found = selective_search(image)
    boxes, _ = plain_search(image)
    np.testing.assert_array_equal(found.boxes, boxes)


def test_histograms_count_every_pixel_once():
    image, labels = blobs(0)
    segments = describe_segments(image, labels)
    assert segments.size.sum() == labels.size
    np.testing.assert_allclose(segments.colour.sum(1), 3)
    np.testing.assert_allclose(segments.texture.sum(1), 3)
    first = labels[0, 0]
    rows, columns = np.nonzero(labels == first)
    assert segments.size[0] == len(rows)
    assert segments.extent[0].tolist() == [
        columns.min(), rows.min(), columns.max(), rows.max(),
    ]  # fmt: skip
    value = image.max(axis=2)[labels == first]
    want = np.histogram(value, 25, (0, 255))[0] / len(value)
    np.testing.assert_allclose(segments.colour[0, 2:], want)


def test_numbers_of_segments_do_not_matter():
    image, labels = blobs(1)
    want = selective_search(image, labels=labels).boxes
    for renamed in (labels.astype(np.uint16) + 7, -labels, labels.astype(np.int64) * 10**12):
        np.testing.assert_array_equal(selective_search(image, labels=renamed).boxes, want)


def test_blocks_of_rows_find_the_neighbours_of_one_block(monkeypatch):
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 30, (20, 2))
    extent = np.hstack([corners, corners + rng.integers(3, 12, (20, 2))])
    whole = set(zip(*(one.tolist() for one in search_module._neighbours(extent)), strict=True))
    assert len(whole) > 20
    for rows in (1, 3, 7):
        monkeypatch.setattr(search_module, '_ROWS', rows)
        first, second = search_module._neighbours(extent)
        assert set(zip(first.tolist(), second.tolist(), strict=True)) == whole
        assert len(first) == len(whole)
        assert (first < second).all()


def test_one_segment_is_one_region():
    image = np.zeros((5, 7, 3), np.uint8)
    regions = selective_search(image, labels=np.zeros((5, 7), int))
    assert regions.boxes.tolist() == [[0, 0, 6, 4]]
    assert regions.size.tolist() == [35]


def test_merging_ends_with_regions_that_have_no_neighbours():
    image, labels = blobs(2)
    labels = np.where(np.arange(80)[None] < 40, 0, 1) + 0 * labels  # side by side: no corner inside
    regions = merge_segments(describe_segments(image, labels), image_size=labels.size)
    assert regions.boxes.tolist() == [[0, 0, 39, 59], [40, 0, 39, 59]]


def test_images_that_cannot_be_searched_are_named():
    with pytest.raises(ValueError, match=r'RGB image \(H, W, 3\) uint8, got \(4, 4\) uint8'):
        selective_search(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match='3 x 4 pixels, the picture 4 x 4'):
        selective_search(np.zeros((4, 4, 3), np.uint8), labels=np.zeros((3, 4), int))


def test_segments_are_felzenszwalbs():
    image, _ = blobs(3)
    labels = felzenszwalb_segments(image, scale=50, sigma=0.5, min_size=30)
    assert np.bincount(labels.ravel()).min() >= 30
