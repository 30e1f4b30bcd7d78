import re

import numpy as np
import pytest

from mmdssl.datasets.transforms.masks import (
    BlockwiseMask,
    EmptyMask,
    ProposalCutout,
    RandomPatchMask,
    RectangleForeground,
)
from mmdssl.datasets.transforms.region_collaborative_cutout import RegionCollaborativeCutout
from mmdssl.evaluation.cutout_ratio import cut_shares
from tests.datasets.transforms.golden_masks import assert_same_distribution, load_cases


def blank(height=224, width=224, **entries):
    return dict(img=np.zeros((height, width, 3), np.uint8), **entries)


def block_settings(rule):
    """Settings of a golden block case: ``.3``, ``U(.3,.5)`` or iBOT's ``[0,.3]+-[0,.2]``."""
    if rule.startswith('U('):
        return dict(ratio=tuple(float(x) for x in rule[2:-1].split(',')))
    if rule.startswith('['):
        (empty, middle), (_, spread) = (
            [float(x) for x in part.strip('[]').split(',')] for part in rule.split('+-')
        )
        assert empty == 0  # one of the two ratios is drawn: half of the masks are empty
        return dict(ratio=(middle - spread, middle + spread), empty_prob=0.5)
    return dict(ratio=float(rule))


@pytest.mark.golden
def test_block_masks_have_the_official_distribution(shared):
    cases = load_cases(shared('golden/rcc_stats.json'), r'block_V(\d+)_ratio(.+)')
    for name, (match, want) in cases.items():
        transform = BlockwiseMask(mask_size=int(match[1]), **block_settings(match[2]))
        np.random.seed(0)
        assert_same_distribution(name, want, lambda t=transform: (None, t(blank())['mask']))


def test_blocks_never_exceed_the_target_and_mostly_reach_it():
    np.random.seed(1)
    transform = BlockwiseMask(ratio=0.4, mask_size=(10, 20))
    counts = np.array([transform(blank())['mask'].sum() for _ in range(300)])
    assert counts.max() <= 80
    assert np.median(counts) >= 78


def test_blocks_are_larger_than_the_minimum_unless_little_is_missing():
    np.random.seed(2)
    # 17 cells: one block of an area between (14 // 3)^2 = 16 and 17, its sides rounded.
    transform = BlockwiseMask(ratio=0.09, mask_size=14)
    first = []
    for _ in range(200):
        mask = transform(blank())['mask']
        height, width = mask.any(1).sum(), mask.any(0).sum()
        assert mask.sum() <= 17
        if mask.sum() == height * width:  # not joined by a small block of what was missing
            first.append(int(mask.sum()))
    assert len(first) > 80
    assert min(first) >= 12  # 2.4 x 6.7 becomes 2 x 7, 3.4 x 4.7 becomes 3 x 5
    # The least area given takes the place of that of the grid.
    coarse = BlockwiseMask(ratio=0.5, mask_size=(14, 14), min_area=60)
    for _ in range(50):
        assert coarse(blank())['mask'].sum() >= 40


def test_a_block_that_hits_the_target_exactly_is_taken():
    np.random.seed(2)
    transform = BlockwiseMask(ratio=0.4, mask_size=(10, 20))
    assert max(transform(blank())['mask'].sum() for _ in range(100)) == 80


def test_the_aspect_of_a_block_is_height_over_width():
    np.random.seed(2)
    transform = BlockwiseMask(ratio=0.15, mask_size=20, min_area=60, aspect=(2, 3))
    for _ in range(50):
        mask = transform(blank())['mask']
        height, width = mask.any(1).sum(), mask.any(0).sum()
        if mask.sum() == height * width:
            assert 1.5 < height / width < 3.8


@pytest.mark.parametrize('mask_size', [1, (1, 5), (2, 2), (3, 3)])
def test_blocks_work_on_tiny_grids(mask_size):
    np.random.seed(3)
    transform = BlockwiseMask(ratio=0.5, mask_size=mask_size)
    masks = np.array([transform(blank())['mask'] for _ in range(50)])
    assert masks.mean(axis=(1, 2)).max() <= 0.5
    # A block never spans the grid, so that one row or cell has none, and 3 x 3 has 4 of 9 cells.
    reached = {1: 0, (1, 5): 0, (2, 2): 2, (3, 3): 4}[mask_size]
    assert masks.sum(axis=(1, 2)).max() == reached


def test_block_mask_at_image_resolution():
    np.random.seed(4)
    mask = BlockwiseMask(ratio=0.4)(blank(96, 128))['mask']
    assert mask.shape == (96, 128)
    assert 0.3 < mask.mean() <= 0.4


@pytest.mark.parametrize('ratio', [0.0, 0.4, 0.5, 1.0])
def test_random_patches_have_the_exact_count(ratio):
    np.random.seed(5)
    for _ in range(20):
        mask = RandomPatchMask(ratio=ratio, mask_size=14)(blank())['mask']
        assert mask.sum() == round(ratio * 196)


def test_random_patches_are_uniform_over_the_grid():
    np.random.seed(6)
    transform = RandomPatchMask(ratio=0.5, mask_size=(4, 6))
    mean = np.mean([transform(blank())['mask'] for _ in range(3000)], axis=0)
    assert np.abs(mean - 0.5).max() < 4 * 0.5 / np.sqrt(3000)


def test_random_patches_at_image_resolution_are_whole_patches():
    np.random.seed(7)
    mask = RandomPatchMask(ratio=0.5, patch_size=16)(blank(72, 64))['mask']  # last row cut short
    assert mask.shape == (72, 64)
    patches = mask[::16, ::16]
    np.testing.assert_array_equal(mask, patches.repeat(16, 0).repeat(16, 1)[:72, :64])
    assert patches.sum() == 10


@pytest.mark.parametrize('mask_size', [14, (10, 30), None])
def test_foreground_is_one_rectangle_of_the_share_left(mask_size):
    np.random.seed(8)
    transform = RectangleForeground(ratio=(0.4, 0.8), mask_size=mask_size)
    shares, aspects = [], []
    for _ in range(300):
        mask = transform(blank())['mask']
        rows, columns = np.flatnonzero((~mask).any(1)), np.flatnonzero((~mask).any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert (~mask).sum() == height * width  # a full rectangle
        shares.append((~mask).mean())
        aspects.append(width / height)
    slack = 0.06 if mask_size else 0.01
    assert 0.2 - slack < min(shares) < 0.25
    assert 0.55 < max(shares) < 0.6 + slack
    if mask_size != (10, 30):
        assert 0.5 < min(aspects) < 0.8 < 1.25 < max(aspects) < 1.8


@pytest.mark.parametrize(('ratio', 'left'), [(0.0, 100), (1.0, 0)])
def test_foreground_extremes(ratio, left):
    mask = RectangleForeground(ratio=ratio, mask_size=10)(blank())['mask']
    assert (~mask).sum() == left


def test_cutout_cuts_each_region_alone_and_never_restores():
    boxes = np.array([[0, 0, 150, 150], [40, 40, 200, 200], [90, 10, 220, 180]], np.float32)
    np.random.seed(9)
    cutout = ProposalCutout(ratio=0.4)
    collaborative = RegionCollaborativeCutout(ratio=0.4)
    shares = {'cutout': [], 'rcc': []}
    for _ in range(300):
        shares['cutout'].append(cut_shares(boxes, cutout(blank(regions=boxes))['mask']))
        shares['rcc'].append(cut_shares(boxes, collaborative(blank(regions=boxes))['mask']))
    plain, rcc = np.array(shares['cutout']), np.array(shares['rcc'])
    assert plain.min() >= 0.4 - 0.02  # each region keeps its own cut
    assert plain.mean() > rcc.mean() + 0.05
    # A region alone loses what it was meant to.
    alone = cut_shares(boxes[:1], cutout(blank(regions=boxes[:1]))['mask'])
    assert alone[0] == pytest.approx(0.4, abs=0.02)


def test_cutout_draws_a_ratio_for_every_region():
    boxes = np.array([[0, 0, 100, 100], [120, 120, 220, 220]], np.float32)
    np.random.seed(10)
    transform = ProposalCutout(ratio=(0.2, 0.8))
    shares = np.array(
        [cut_shares(boxes, transform(blank(regions=boxes))['mask']) for _ in range(300)]
    )
    assert abs(np.corrcoef(shares.T)[0, 1]) < 0.2
    assert shares.min() < 0.25
    assert shares.max() > 0.75


def test_straddling_cutout_leaves_the_region_and_may_start_before_it():
    boxes = np.array([[80, 80, 140, 140]], np.float32)
    np.random.seed(11)
    transform = ProposalCutout(ratio=0.5, place='straddle')
    union = np.zeros((224, 224), bool)
    for _ in range(300):
        union |= transform(blank(regions=boxes))['mask']
    rows, columns = np.flatnonzero(union.any(1)), np.flatnonzero(union.any(0))
    length = 60 * np.sqrt(0.5)
    for cells in (rows, columns):
        assert 80 - length - 2 <= cells.min() < 60
        assert 160 < cells.max() <= 140 + length + 2


@pytest.mark.parametrize(
    'transform', [BlockwiseMask, RandomPatchMask, RectangleForeground, ProposalCutout]
)
def test_all_masks_share_the_interface(transform):
    regions = np.array([[0, 0, 200, 200]], np.float32)
    np.random.seed(12)
    made = transform(ratio=(0.3, 0.5), empty_prob=1.0, mask_size=(6, 8), key='dc_mask')
    mask = made(blank(regions=regions))['dc_mask']
    assert mask.shape == (6, 8)
    assert mask.dtype == bool
    assert not mask.any()
    mask = transform(ratio=0.5)(blank(60, 40, regions=regions))['mask']
    assert mask.shape == (60, 40)
    assert mask.any()
    with pytest.raises(ValueError, match=f'{transform.__name__}: ratio'):
        transform(ratio=2)
    assert re.match(rf'{transform.__name__}\(ratio=', repr(made))


def test_empty_mask_has_the_form_of_the_others_and_needs_no_regions():
    image = dict(img=np.zeros((30, 40, 3), np.uint8))
    for settings, shape in ((dict(), (30, 40)), (dict(mask_size=7), (7, 7))):
        mask = EmptyMask(key='erase', **settings)(dict(image))['erase']
        assert mask.shape == shape
        assert mask.dtype == bool
        assert not mask.any()
