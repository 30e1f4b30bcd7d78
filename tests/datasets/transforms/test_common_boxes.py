import numpy as np
import pytest
import torch

from mmdssl.datasets.transforms.common_boxes import CommonBoxViews
from mmdssl.datasets.transforms.random_streams import restart_streams
from mmdssl.datasets.transforms.views import RandomResizedCropWithBoxes
from tests.golden import Golden

SIZE = 64
WHOLE = [dict(type='ResizeWithBoxes', size=SIZE), dict(type='RandomFlipWithBoxes')]
CROP = [
    dict(type='RandomResizedCropWithBoxes', size=SIZE, scale=(0.3, 1.0), interpolation='nearest'),
    dict(type='RandomFlipWithBoxes'),
]


def sample(boxes=None, height=120, width=160):
    """An image whose pixels tell where they come from, and proposals all over it."""
    if boxes is None:
        rng = np.random.default_rng(0)
        start = rng.integers(0, (width - 40, height - 40), (30, 2))
        boxes = np.concatenate([start, start + rng.integers(15, 40, (30, 2))], axis=1)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return dict(
        img=np.stack([columns, rows, np.zeros_like(rows)], axis=-1).astype(np.uint8),
        proposals=np.array(boxes, np.float32).reshape(-1, 4),
        img_path='a.jpg',
    )


def build(**kwargs):
    return CommonBoxViews(**{'num_views': [1, 1], 'pipelines': [WHOLE, CROP], **kwargs})


def test_views_hold_the_same_boxes_where_the_pixels_are():
    np.random.seed(0)
    transform, data = build(), sample()
    proposals = data['proposals'].copy()
    for _ in range(50):
        views = transform(dict(data))['views']
        assert len(views) == 2
        for view in views:
            assert view['boxes'].shape == (4, 4)
            assert view['boxes'].dtype == np.float32
            assert view['box_ids'].dtype == np.int64
            assert 'proposals' not in view
            assert 'proposals_ids' not in view
            x1, y1, x2, y2 = view['crop_box']
            for box, one in zip(view['boxes'], view['box_ids'], strict=True):
                source = np.clip(proposals[one - 1], [x1, y1] * 2, [x2 - 1, y2 - 1] * 2)
                # The middle pixel of the box shows the middle of the proposal inside the crop.
                middle = ((box[:2] + box[2:]) / 2).astype(int)
                shown = view['img'][middle[1], middle[0], :2].astype(float)
                per_pixel = max(x2 - x1, y2 - y1) / SIZE
                assert np.abs(shown - (source[:2] + source[2:]) / 2).max() <= 1.5 * per_pixel + 1
        assert set(views[0]['box_ids']) == set(views[1]['box_ids'])
        assert len(set(views[0]['box_ids'])) == 4  # without replacement


def test_few_common_boxes_are_repeated_by_each_view_on_its_own():
    np.random.seed(1)
    transform = build()
    data = sample([[40, 30, 90, 80], [70, 50, 120, 100]])
    orders = set()
    for _ in range(60):
        first, second = transform(dict(data))['views']
        for view in (first, second):
            assert set(view['box_ids']) <= {1, 2}
            assert len(view['box_ids']) == 4
            n = len(view['regions'])
            assert sorted(view['regions_ids']) == sorted(set(view['box_ids']))
            np.testing.assert_array_equal(view['boxes'][:n], view['regions'])
            for box, one in zip(view['boxes'], view['box_ids'], strict=True):
                place = view['regions_ids'].tolist().index(one)
                np.testing.assert_array_equal(box, view['regions'][place])
        orders.add((*first['box_ids'][2:], *second['box_ids'][2:]))
    assert len(orders) > 10  # of 16: views are padded independently


def test_crops_are_drawn_again_until_they_share_boxes_and_the_demand_halves(monkeypatch):
    drawn = []

    def draw(self, height, width):
        drawn.append(None)
        return (100, 60, 60, 60) if len(drawn) % 7 else (0, 0, 60, 60)

    monkeypatch.setattr(RandomResizedCropWithBoxes, 'sample', draw)
    left = [[0, 0, 20, 20], [10, 10, 40, 40]]
    right = [[110, 70, 150, 110]]
    transform = build(num_boxes=8)  # asks for 4, then 2, then 1
    windows, rows = transform.draw_windows(np.array(right), 120, 160)
    assert (len(drawn), rows.tolist()) == (3, [0])
    windows, rows = transform.draw_windows(np.array(left), 120, 160)
    assert (len(drawn), windows[1], rows.tolist()) == (7, (0, 0, 60, 60), [0, 1])
    windows, rows = transform.draw_windows(np.array(left), 120, 160)  # five tries in vain
    assert (len(drawn), rows.tolist()) == (12, [])
    enough = build(num_boxes=2)
    drawn.clear()
    enough.draw_windows(np.array(right), 120, 160)
    assert len(drawn) == 1


def test_redrawing_does_not_touch_pixels(monkeypatch):
    resized = []
    crop = RandomResizedCropWithBoxes.crop
    monkeypatch.setattr(
        RandomResizedCropWithBoxes,
        'crop',
        lambda self, results, window: resized.append(window) or crop(self, results, window),
    )
    corner = [dict(CROP[0], scale=(0.05, 0.05))]
    np.random.seed(0)
    for _ in range(20):
        build(pipelines=[WHOLE, corner])(sample([[0, 0, 10, 10]]))
    assert len(resized) == 20


@pytest.mark.parametrize('boxes', [[], [[0, 0, 3, 3]]], ids=['no proposals', 'none in common'])
def test_without_a_common_proposal_the_whole_view_is_the_box(boxes):
    np.random.seed(2)
    transform = build(pipelines=[WHOLE, [dict(CROP[0], scale=(0.1, 0.1))]])
    seen = 0
    for _ in range(20):
        views = transform(sample(boxes))['views']
        _, _, x2, _ = views[1]['crop_box']
        if boxes and len(set(views[0]['boxes'][:, 2])) == 1 and views[0]['boxes'][0, 2] < 10:
            continue  # the corner was in the crop
        seen += 1
        for view in views:
            x1, y1, x2, y2 = view['crop_box']
            share = (x2 - x1 - 1) / (x2 - x1), (y2 - y1 - 1) / (y2 - y1)
            size = view['boxes'][:, 2:] - view['boxes'][:, :2]
            np.testing.assert_allclose(size, np.array([share] * 4) * SIZE, rtol=1e-6)
            assert view['box_ids'].tolist() == [1] * 4
            assert len(view['regions']) == 1
    assert seen > 10


@pytest.mark.golden
def test_the_transform_reproduces_the_reference_for_its_draws(shared, monkeypatch):
    golden = Golden.load(shared('golden/soco_loss.npz'))
    cases = sorted({name.split('/')[0] for name in golden if name.startswith('boxes')})
    assert cases
    for case in cases:
        with monkeypatch.context() as patch:
            check_reference(golden.sub(f'{case}/'), patch)


def check_reference(golden: Golden, monkeypatch) -> None:
    """Crops, choice, repetitions and flips injected; the rest is the transform's own."""
    width, height = golden['image_wh'].tolist()
    top, left, crop_height, crop_width = golden['crop_top_left_height_width'].tolist()
    proposals = golden['proposals_xywh'].numpy().reshape(-1, 4)
    proposals[:, 2:] += proposals[:, :2] - 1
    ids = golden['candidates_in_overlap'][:, 4].tolist()
    chosen = golden['chosen'][:, 4].tolist()
    pads = [
        (np.array([chosen.index(int(one)) for one in golden[f'pad_ids_view{v}']]) + 0.5)
        / len(chosen)
        for v in (1, 2)
    ]
    order = [ids.index(one) for one in chosen]

    class Draws:
        def permutation(self, n):
            assert n == len(ids)
            return np.array(order + [row for row in range(n) if row not in order])

        def random(self, n):
            draws = pads.pop(0)
            assert len(draws) == n
            return draws

    monkeypatch.setattr(
        'mmdssl.datasets.transforms.common_boxes.random_source', lambda stream: Draws()
    )
    monkeypatch.setattr(
        RandomResizedCropWithBoxes, 'sample', lambda *_: (left, top, crop_width, crop_height)
    )
    flips = [float(flip) for flip in golden['flips_view1_view2']]
    transform = build(
        pipelines=[
            [WHOLE[0], dict(type='RandomFlipWithBoxes', prob=flips[0])],
            [CROP[0], dict(type='RandomFlipWithBoxes', prob=flips[1])],
        ],
        num_boxes=len(golden['correspondence']),
        tries=1,
    )
    views = transform(sample(proposals, height, width))['views']
    for number, view in enumerate(views, start=1):
        want = golden[f'view{number}_boxes_id'].numpy()
        np.testing.assert_allclose(view['boxes'] / SIZE, want[:, :4], atol=1e-6)
        assert view['box_ids'].tolist() == want[:, 4].tolist()
    match = views[0]['box_ids'][:, None] == views[1]['box_ids']
    np.testing.assert_array_equal(match, golden['correspondence'].numpy())


@pytest.mark.golden
def test_boxes_are_drawn_as_often_as_the_search_gave_them(shared):
    """Of K rows out of N, drawn without replacement, K m / N show a box of m rows on average."""
    with np.load(shared('golden/proposals.npz')) as golden:
        stem = golden['names'][0].removesuffix('.jpg')
        rows, (height, width) = golden[f'{stem}/filtered_xywh'], golden[f'{stem}/image_hw']
    rows = rows.astype(np.float32)
    rows[:, 2:] += rows[:, :2] - 1
    boxes, counts = np.unique(rows, axis=0, return_counts=True)
    assert counts.max() / len(rows) > 3 / len(boxes)  # far more than its share of the boxes
    np.random.seed(8)
    transform = build(pipelines=[WHOLE[:1], WHOLE[:1]])
    draws, seen = 1500, np.zeros(len(boxes))
    for _ in range(draws):
        view = transform(sample(rows, height, width))['views'][0]
        chosen, often = np.unique(rows[view['box_ids'] - 1], axis=0, return_counts=True)
        for box, times in zip(chosen, often, strict=True):
            seen[(boxes == box).all(axis=1).argmax()] += times
        assert len(set(view['box_ids'])) == 4  # rows, without replacement
        assert len(view['regions']) == len(chosen)  # a region is a box, not a row
    share = counts / len(rows)
    error = np.sqrt(share * (1 - share) / (4 * draws))
    assert (np.abs(seen / (4 * draws) - share) < 4.5 * error).all()


def test_any_number_of_views_share_their_boxes():
    np.random.seed(3)
    small = [dict(CROP[0], size=32), CROP[1]]
    transform = build(num_views=[1, 2, 1], pipelines=[WHOLE, CROP, small], num_boxes=3)
    data = sample()
    for _ in range(10):
        views = transform(dict(data))['views']
        assert [view['img'].shape[0] for view in views] == [64, 64, 64, 32]
        assert [view['view_index'] for view in views] == [0, 1, 1, 2]
        shared_ids = [set(view['box_ids']) for view in views]
        assert shared_ids.count(shared_ids[0]) == 4
        for view in views:
            assert (view['boxes'][:, 2:] > view['boxes'][:, :2]).all()
            assert view['boxes'].min() >= 0
            assert view['boxes'].max() <= view['img'].shape[0]


def test_finish_runs_per_view_once_boxes_are_there():
    np.random.seed(4)
    transform = build(
        finish=[
            [dict(type='EmptyMask', key='erase')],
            [
                dict(type='SquareCutout', prob=1.0),
                dict(type='RegionCollaborativeCutout', ratio=0.4, key='dc_mask'),
            ],
        ]
    )
    views = transform(sample())['views']
    assert not views[0]['erase'].any()
    assert views[0]['erase'].shape == views[1]['erase'].shape == (SIZE, SIZE)
    assert views[1]['erase'].any()
    assert views[1]['dc_mask'].any()
    assert 'dc_mask' not in views[0]


@pytest.mark.parametrize('regions_key', ['regions', 'boxes'])
def test_rcc_cuts_its_share_of_every_chosen_box(regions_key):
    """Regions of SoCo-D and SoCo-RCC, at the resolution of the image."""
    np.random.seed(5)
    rcc = dict(type='RegionCollaborativeCutout', ratio=0.4, key='erase', regions_key=regions_key)
    transform = build(finish=[[rcc], [rcc]], num_boxes=4)
    data = sample([[10, 10, 70, 70], [90, 40, 150, 110]])  # two boxes in four rows
    shares = []
    for _ in range(150):
        for view in transform(dict(data))['views']:
            for x1, y1, x2, y2 in view['regions'].round().astype(int):
                if min(x2 - x1, y2 - y1) > 10:
                    shares.append(view['erase'][y1:y2, x1:x2].mean())
    assert abs(np.mean(shares) - 0.4) < 0.03
    assert np.quantile(shares, 0.1) > 0.3


def test_own_stream_leaves_the_crops_alone():
    def crops(**kwargs):
        np.random.seed(6)
        torch.manual_seed(6)
        restart_streams()
        transform = build(**kwargs)
        return [
            (view['crop_box'], view['flip'])
            for _ in range(5)
            for view in transform(sample())['views']
        ]

    own = crops(stream='boxes')
    assert own == crops(stream='boxes', num_boxes=5)
    assert own != crops()


def test_ids_of_the_proposals_are_kept():
    data = sample([[30, 30, 100, 100]] * 3)
    data['proposals_ids'] = np.array([7, 9, 11])
    np.random.seed(0)
    view = build()(data)['views'][0]
    assert set(view['box_ids']) == {7, 9, 11}


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(num_views=[1]), 'one count >= 1 for each of the pipelines'),
        (dict(finish=[None]), r'finish for each in pipelines: 1 and 2'),
        (dict(num_boxes=0), 'num_boxes=0 and tries=5 are at least 1'),
        (dict(tries=0), 'num_boxes=4 and tries=0 are at least 1'),
    ],
)
def test_settings_that_do_not_fit_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_missing_proposals_are_refused_with_the_remedy():
    data = sample()
    del data['proposals']
    with pytest.raises(ValueError, match=r"no results\['proposals'\]: put LoadProposals"):
        build()(data)


def test_proposals_of_another_image_are_refused():
    with pytest.raises(ValueError, match=r'a\.jpg has 160 x 120 pixels, but .* another image'):
        build()(sample([[10, 10, 300, 50]]))
    with pytest.raises(ValueError, match='another image'):
        build()(sample([[-4, 10, 30, 50]]))
    with pytest.raises(ValueError, match=r'has shape \(2, 5\)'):
        build()(dict(sample(), proposals=np.zeros((2, 5))))


def test_a_second_crop_is_refused():
    late = [dict(type='RandomFlipWithBoxes'), dict(CROP[0], scale=(0.2, 0.2))]
    with pytest.raises(ValueError, match='view pipeline 1 crops behind its first step'):
        build(pipelines=[WHOLE, late])(sample())
