"""Which key views are de-coupled, with which mask and background."""

import pytest
import torch

from mmdssl.models.view_selection import select_key_views


def select(masks, **kwargs):
    defaults = dict(
        views=tuple(masks),
        count=2,
        select='last',
        background='flip',
        mask_source='fresh',
        complement_share=0.0,
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
    for selection in select(masks, count=4, complement_share=0.5):
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
