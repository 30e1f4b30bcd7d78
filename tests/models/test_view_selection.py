"""Which key views are de-coupled, with which mask and background."""

import numpy as np
import pytest
import torch

from mmdssl.datasets.transforms.masks import BlockwiseMask, RandomPatchMask, RectangleForeground
from mmdssl.datasets.transforms.region_collaborative_cutout import RegionCollaborativeCutout
from mmdssl.datasets.transforms.regions import GridRegions
from mmdssl.models.view_selection import leaves_rectangle, select_key_views


def select(masks, **kwargs):
    defaults = dict(
        views=tuple(masks),
        count=2,
        select='last',
        background='flip',
        mask_source='fresh',
        complement_ratio=0.0,
        generator=torch.Generator().manual_seed(0),
    )
    return select_key_views(masks, **{**defaults, **kwargs})


def random_masks(size: int, views: int = 2) -> dict[int, torch.Tensor]:
    torch.manual_seed(3)
    return {view: torch.rand(size, 4, 4) < 0.5 for view in range(views)}


@pytest.mark.parametrize('background', ['flip', 'roll', 'random'])
@pytest.mark.parametrize('how', ['last', 'random'])
@pytest.mark.parametrize('size', [2, 3, 4, 5, 9, 16])
def test_an_image_is_never_its_own_background(background, how, size):
    for views in (1, 2, 3):
        for count in range(1, size + 1):
            for selection in select(
                random_masks(size, views), count=count, background=background, select=how
            ):
                assert len(selection.index) == count
                assert len(set(selection.index.tolist())) == count
                assert not (selection.index == selection.background_index).any()
                assert selection.background_index.min() >= 0
                assert selection.background_index.max() < size


def test_flip_takes_the_mirror_image_of_the_other_view():
    first, second = select(random_masks(8))
    assert first.index.tolist() == [6, 7]
    assert first.background_index.tolist() == [1, 0]
    assert (first.background_view, second.background_view) == (1, 0)


def test_fresh_masks_belong_to_their_image():
    masks = random_masks(8)
    for selection in select(masks, select='random', count=5):
        assert torch.equal(selection.masks, masks[selection.view][selection.index])


def test_complement_share_inverts_the_last_samples():
    masks = random_masks(8)
    for selection in select(masks, count=4, complement_ratio=0.5):
        own = masks[selection.view][selection.index]
        assert torch.equal(selection.masks[:2], own[:2])
        assert torch.equal(selection.masks[2:], ~own[2:])


def test_pool_deals_non_empty_masks_in_batch_order():
    masks = random_masks(8)
    masks[0][[0, 2, 3]] = False
    filled = torch.cat([masks[0], masks[1]])
    filled = filled[filled.flatten(1).any(1)]
    first, second = select(masks, mask_source='pool', count=2)
    assert torch.equal(torch.cat([first.masks, second.masks]), filled[:4])


def test_pool_shrinks_when_too_few_masks_are_filled():
    masks = random_masks(8)
    masks[0][:] = False
    masks[1][5:] = False
    masks[1][:2] = False  # three masks left: no even share of 2 for both views
    selections = select(masks, mask_source='pool', count=4)
    assert [len(selection.index) for selection in selections] == [0, 0]


def test_random_choices_follow_their_generator():
    def draw(seed):
        return select(
            random_masks(16),
            select='random',
            background='random',
            count=6,
            generator=torch.Generator().manual_seed(seed),
        )[0]

    one, same, other = draw(5), draw(5), draw(6)
    assert torch.equal(one.index, same.index)
    assert torch.equal(one.background_index, same.background_index)
    assert not torch.equal(one.index, other.index)


def drawn_masks(transform, size=14, number=200) -> torch.Tensor:
    """(number, size, size) masks of a transform of the package over grid regions."""
    np.random.seed(0)
    regions, image = GridRegions(), dict(img=np.zeros((112, 112, 3), np.uint8))
    return torch.stack(
        [torch.from_numpy(transform(regions(dict(image)))['mask']) for _ in range(number)]
    )


@pytest.mark.parametrize('size', [7, 14])
def test_foregrounds_that_are_a_rectangle_are_told_from_all_others(size):
    for transform in (
        RegionCollaborativeCutout(ratio=(0.2, 0.6), mask_size=size),
        RandomPatchMask(ratio=(0.4, 0.6), mask_size=size),
        BlockwiseMask(ratio=(0.3, 0.5), mask_size=size),
    ):
        masks = drawn_masks(transform, size)
        for mask, rectangle in zip(masks, leaves_rectangle(masks).tolist(), strict=True):
            kept = (~mask).nonzero()
            (top, left), (bottom, right) = kept.amin(0).tolist(), kept.amax(0).tolist()
            inside = (~mask)[top : bottom + 1, left : right + 1]
            assert rectangle == bool(inside.all())
        assert leaves_rectangle(masks).float().mean() < 0.15  # blocks may cut a side off
    assert leaves_rectangle(drawn_masks(RectangleForeground(mask_size=size), size)).all()
    apart = torch.ones(4, 5, 6, dtype=torch.bool)
    apart[0, 1:3, [0, 3]] = False  # two columns with a gap
    apart[1, 0, 0] = apart[1, 4, 5] = False  # two corners
    apart[2] = False  # nothing cut
    assert leaves_rectangle(apart).tolist() == [False, False, True, False]


def test_rectangles_are_complemented_only_where_that_is_asked_for():
    masks = random_masks(8, 1)
    masks[0][6:] = True
    masks[0][6, 1:3, 0:2] = False
    masks[0][7, 0:3, 3] = False
    assert not leaves_rectangle(masks[0][:6]).any()
    settings = dict(count=8, complement_ratio=0.5)
    (inverted,) = select(masks, **settings)
    assert torch.equal(inverted.masks[:4], masks[0][:4])
    assert torch.equal(inverted.masks[4:], ~masks[0][4:])
    (kept,) = select(masks, **settings, complement_rectangles=False)
    assert torch.equal(kept.masks[4:6], ~masks[0][4:6])
    assert torch.equal(kept.masks[6:], masks[0][6:])
