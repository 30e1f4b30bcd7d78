"""Pairs of crops that share enough, and views that may be mirrored."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.overlapping_pairs import OverlappingPairs, enough_in_common

CROP = dict(type='RandomResizedCropWithBoxes', size=16, scale=(0.05, 0.3))
FLIP = dict(type='RandomFlipWithBoxes', prob=1.0)


def make(**kwargs) -> OverlappingPairs:
    np.random.seed(0)
    return OverlappingPairs(**{'num_views': [2], 'pipelines': [[CROP, FLIP]], **kwargs})


def shares(pair, of: str) -> float:
    (x, y, w, h), (u, v, s, t) = pair
    common = max(min(x + w, u + s) - max(x, u), 0) * max(min(y + h, v + t) - max(y, v), 0)
    return common / (s * t if of == 'second' else max(w * h, s * t))


@pytest.mark.parametrize('of', ['second', 'both'])
def test_crops_are_drawn_until_they_share_enough(of):
    draw = make(redraw=of, min_share=0.4, tries=1000)
    free = make(redraw=of, min_share=0.0)
    found = [shares(draw.draw_windows(40, 60), of) for _ in range(30)]
    assert min(found) >= 0.4
    assert min(shares(free.draw_windows(40, 60), of) for _ in range(30)) < 0.4


def test_the_second_crop_alone_is_drawn_again():
    """From the same draws, the first crop is that of a pair without a demand."""
    for seed in range(5):
        windows = []
        for share in (0.0, 0.5):
            draw = make(min_share=share, tries=1000)
            np.random.seed(seed)
            windows.append(draw.draw_windows(40, 60))
        assert windows[0][0] == windows[1][0]


def test_the_last_draw_is_taken_as_it_comes():
    draw = make(redraw='both', min_share=1.0, tries=2)
    assert len(draw.draw_windows(40, 60)) == 2


def test_shares_are_of_the_area_named_and_equality_is_enough():
    assert enough_in_common((0, 0, 10, 10), (5, 0, 10, 10), 0.5, of='both')
    assert not enough_in_common((0, 0, 20, 20), (5, 0, 10, 10), 0.5, of='both')
    assert enough_in_common((0, 0, 20, 20), (5, 0, 10, 10), 1.0, of='second')


def test_views_say_what_they_show_and_that_they_are_mirrored():
    image = np.random.randint(0, 255, (40, 60, 3), np.uint8)
    partner = make(num_views=[3], pairs=[(0, 1), (2, None)])
    views = partner.transform(dict(img=image))['views']
    assert len(views) == 3
    assert all(view['flip'] == (True, False) for view in views)
    assert len({view['crop_box'] for view in views}) == 3


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(pairs=[(0, None)]), 'every view stands in one pair'),
        (dict(pipelines=[[FLIP, CROP]]), 'make RandomResizedCropWithBoxes its first step'),
        (dict(redraw='first'), 'first'),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        make(**settings)


def test_a_second_crop_of_a_view_is_refused():
    draw = make(pipelines=[[CROP, CROP]])
    with pytest.raises(ValueError, match='crops behind its first step'):
        draw.transform(dict(img=np.zeros((40, 60, 3), np.uint8)))
