"""Pictures of masks: steps are those of RCC, kinds and grids are drawn from their transforms."""

import numpy as np
import pytest
from PIL import Image

from mmdssl.cli import analyze
from mmdssl.datasets.transforms.region_collaborative_cutout import cut_regions
from mmdssl.evaluation.cutout_ratio import cut_shares
from mmdssl.visualization import mask_examples
from mmdssl.visualization.mask_examples import draw_grid_numbers, draw_mask_kinds, rcc_steps
from tests.visualization.drawn import differ, drawn


def test_steps_lead_from_region_to_region_to_the_mask_of_rcc():
    rng = np.random.default_rng(3)
    restored = 0
    for _ in range(60):
        corners, sides = rng.random((4, 2)) * 30, 8 + rng.random((4, 2)) * 20
        boxes = np.concatenate([corners, corners + sides], axis=1)
        draws = rng.random(8).tolist()
        steps = rcc_steps(boxes, draws, ratio=0.4, height=56, width=56)
        whole = cut_regions(boxes, ratios=[0.4] * 4, height=56, width=56, draws=draws)
        np.testing.assert_array_equal(steps[-1][2], whole)
        areas = sides.prod(axis=1)
        cut = [index for index, what, _ in steps if what == 'cut']
        assert cut == sorted(range(4), key=lambda index: -areas[index])
        before = np.zeros((56, 56), bool)
        for index, what, mask in steps:
            lost = cut_shares(boxes[[index]], before)[0]
            if what == 'restored':
                restored += 1
                assert lost > 0.4
                assert cut_shares(boxes[[index]], mask)[0] == 0
                assert not (mask & ~before).any()  # nothing else is cut meanwhile
            else:
                assert lost <= 0.4  # what had lost more was restored before
                assert not (before & ~mask).any()
            before = mask
    assert restored > 10


def test_the_regions_of_the_picture_show_a_restored_one():
    boxes = mask_examples._REGIONS * 224
    steps = rcc_steps(boxes, mask_examples._DRAWS, ratio=0.4, height=224, width=224)
    assert [(index, what) for index, what, _ in steps] == [
        (0, 'cut'),
        (1, 'restored'),
        (1, 'cut'),
    ]
    assert cut_shares(boxes, steps[-1][2])[1] == pytest.approx(0.4, abs=0.01)


def test_kinds_of_masks_are_drawn_without_touching_the_random_state(tmp_path):
    before = np.random.get_state()[1].copy()
    image = np.full((64, 64, 3), 90, np.uint8)
    first = draw_mask_kinds(image, (8, 8), tmp_path / 'a.png', count=2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    again = draw_mask_kinds(image, (8, 8), tmp_path / 'b.png', count=2)
    other = draw_mask_kinds(image, (8, 8), tmp_path / 'c.png', count=2, seed=1)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    with Image.open(first) as picture:
        assert picture.height > 400


def test_masks_of_patches_are_left_out_at_pixel_resolution(tmp_path):
    image = np.full((64, 64, 3), 90, np.uint8)
    with (
        Image.open(draw_mask_kinds(image, (8, 8), tmp_path / 'a.png', count=2)) as four,
        Image.open(draw_mask_kinds(image, (64, 64), tmp_path / 'b.png', count=2)) as two,
    ):
        assert two.height * 2 == four.height


@pytest.mark.parametrize('kind', [draw_mask_kinds, draw_grid_numbers])
def test_as_many_regions_as_asked_for_are_drawn(tmp_path, monkeypatch, kind):
    shown = {}

    def keep(masks, path, *, boxes=None, image):
        shown.update(masks=masks, boxes=boxes)
        return path

    monkeypatch.setattr(mask_examples, 'draw_masks', keep)
    image = np.full((64, 64, 3), 90, np.uint8)
    if kind is draw_mask_kinds:
        kind(image, (8, 8), tmp_path / 'a.png', grid=2, count=3)
        assert [box.shape for box in shown['boxes']] == [(4, 4)] * 3
        assert len(shown['masks']) == 4
    else:
        kind(image, (14, 14), tmp_path / 'a.png', count=200)
        assert shown['boxes'] is None
        # Measured with the public code for 1 to 4 grids, same boxes and ratio.
        cut = [np.mean(masks) for masks in shown['masks'].values()]
        assert cut == pytest.approx([0.113, 0.351, 0.423, 0.405], abs=0.025)
    assert {mask.shape for masks in shown['masks'].values() for mask in masks} <= {(8, 8), (14, 14)}


def test_the_command_draws_on_a_scene_and_on_a_photo_of_ones_own(tmp_path, capsys):
    assert analyze.main(['masks', '--out', str(tmp_path / 'scene'), '--count', '2']) == 0
    photo = tmp_path / 'photo.png'
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 300, 3))).save(photo)
    words = ['--image', str(photo), '--count', '2', '--grid', '3', '--cells', '8']
    assert analyze.main(['masks', '--out', str(tmp_path / 'photo'), *words]) == 0
    assert capsys.readouterr().out.count('wrote ') == 6
    for name in ('rcc_steps', 'mask_kinds', 'grid_numbers'):
        pictures = [
            drawn(tmp_path / f'{one}/{name}.png', width=300, height=200)
            for one in ('scene', 'photo')
        ]
        assert differ(*pictures)
    for words, said in (
        (['--count', '0'], '--count 0 must be at least 1'),
        (['--image', str(tmp_path / 'none.jpg')], 'none.jpg'),
    ):
        assert analyze.main(['masks', '--out', str(tmp_path), *words]) == 2
        assert said in capsys.readouterr().err
