"""The drawn batch shows what the branch trains on, pixel for pixel."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.visualization.figure import COLOURS, overlay
from mmdssl.visualization.views import batch_panels, draw_batch
from tests.visualization.drawn import drawn

SIZE, CELLS, BATCH = 32, 4, 8


class Normalise(nn.Module):
    """Stands in for the colour preprocessor: inverts the colours, then normalises."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('mean', torch.tensor([120.0, 110.0, 100.0]).view(3, 1, 1))
        self.register_buffer('std', torch.tensor([60.0, 50.0, 40.0]).view(3, 1, 1))

    def forward(self, data: dict, training: bool = False) -> dict:
        if isinstance(data['inputs'], torch.Tensor):
            return {'inputs': (data['inputs'].float() - self.mean) / self.std}
        views = [(255 - view.float() - self.mean) / self.std for view in data['inputs']['views']]
        return {'inputs': {**data['inputs'], 'views': views}, 'data_samples': None}


@pytest.fixture
def batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, 3, SIZE, SIZE)
    views = [torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator) for _ in '01']
    masks = [torch.rand(BATCH, CELLS, CELLS, generator=generator) < 0.4 for _ in '0123']
    return {'inputs': {'views': views, 'mask': masks[:2], 'dc_mask': masks[2:]}}


def pixels(mask: torch.Tensor) -> np.ndarray:
    """(CELLS, CELLS) bool to (SIZE, SIZE), independently of the code under test."""
    return np.kron(mask.numpy(), np.ones((SIZE // CELLS, SIZE // CELLS), dtype=bool))


@pytest.mark.parametrize('mix_level', ['pixel', 'patch_embed'])
def test_composed_panel_shows_the_key_view_in_front_and_the_partner_behind(batch, mix_level):
    branch = DecouplingBranch(key_views=(0, 1), mix_level=mix_level)
    picture = batch_panels(batch, Normalise(), branch=branch)
    assert picture.samples[:2] == [6, 7]  # the last quarter of the batch comes first
    for view in (0, 1):
        shown = picture.rows[f'view {view}\nafter colour']
        composed = picture.rows[f'view {view}\nX^D']
        other = 255 - batch['inputs']['views'][1 - view]
        for column, sample in enumerate((6, 7)):
            cut = pixels(batch['inputs']['dc_mask'][view][sample])
            assert cut.any()
            assert not cut.all()
            image = composed[column].image
            np.testing.assert_array_equal(image[~cut], shown[column].image[~cut])
            partner = other[BATCH - 1 - sample].permute(1, 2, 0).numpy()
            np.testing.assert_array_equal(image[cut], partner[cut])
        assert all(panel.image is None for panel in composed[2:])


def test_complemented_mask_is_named_and_keeps_the_cut_part(batch):
    branch = DecouplingBranch(complement_ratio=1.0)
    picture = batch_panels(batch, Normalise(), branch=branch)
    panel = picture.rows['view 0\nX^D'][0]
    cut = pixels(batch['inputs']['dc_mask'][0][6])
    shown = picture.rows['view 0\nafter colour'][0].image
    np.testing.assert_array_equal(panel.image[cut], shown[cut])
    assert 'mask inverted' in panel.note


def test_views_are_shown_as_cropped_and_as_the_model_sees_them(batch):
    picture = batch_panels(batch, Normalise(), max_images=3)
    assert picture.samples == [0, 1, 2]
    assert 'view 0\nX^D' not in picture.rows
    raw = batch['inputs']['views'][1][2].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(picture.rows['view 1\nas cropped'][2].image, raw)
    np.testing.assert_array_equal(picture.rows['view 1\nafter colour'][2].image, 255 - raw)


def test_overlay_tints_marked_cells_only(batch):
    image = batch['inputs']['views'][0][0].permute(1, 2, 0).numpy()
    mask = batch['inputs']['mask'][0][0]
    painted = overlay(image, mask.numpy(), colour=COLOURS['orange'], strength=1.0)
    np.testing.assert_array_equal(painted[~pixels(mask)], image[~pixels(mask)])
    assert np.unique(painted[pixels(mask)], axis=0).tolist() == [[0xE6, 0x9F, 0x00]]


def test_drawing_leaves_the_random_state_of_the_run_alone(batch, tmp_path):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    branch = DecouplingBranch(select='random', background='random')
    boxes = [[np.array([[1, 1, 20, 30], [4, 8, 12, 16]], dtype=np.float32)] * BATCH] * 2
    regions = {'mask': boxes, 'dc_mask': boxes}
    path = draw_batch(batch, Normalise(), tmp_path / 'a' / 'b.png', branch=branch, regions=regions)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    drawn(path, width=500, height=300)
    assert path.stat().st_size < 1_000_000
    assert [file.name for file in path.parent.iterdir()] == ['b.png']


def test_batch_without_views_is_refused():
    with pytest.raises(ValueError, match='PackViews'):
        batch_panels({'inputs': {}}, Normalise())


@pytest.fixture
def cnn_batch() -> dict:
    """Masks at pixel resolution, boxes, an erased part in view 1; no MIM masks."""
    generator = torch.Generator().manual_seed(1)
    views = [
        torch.randint(0, 256, (BATCH, 3, 64, 64), dtype=torch.uint8, generator=generator)
        for _ in '01'
    ]
    masks = [torch.zeros(BATCH, 64, 64, dtype=torch.bool) for _ in '0123']
    for mask in masks[1:]:
        mask[:, :32, :40] = (
            True  # of 2 x 2 cells of 32 px the upper left one, a quarter of its right
        )
    boxes = torch.tensor([[0, 0, 40, 32], [8, 16, 24, 48]], dtype=torch.float32)
    return {
        'inputs': {
            'views': views,
            'erase': masks[:2],
            'dc_mask': masks[2:],
            'boxes': [boxes.expand(BATCH, 2, 4)] * 2,
            'box_ids': [torch.tensor([5, 8]).expand(BATCH, 2)] * 2,
        }
    }


def test_batch_of_a_region_host_shows_boxes_what_is_erased_and_what_boxes_keep(cnn_batch):
    picture = batch_panels(cnn_batch, Normalise(), branch=DecouplingBranch(key_views=(0, 1)))
    assert 'view 0\nMIM mask' not in picture.rows
    assert 'view 0\nerased' not in picture.rows  # nothing is
    assert picture.rows['view 1\nerased'][0].note == f'{32 * 40 / 64**2:.0%}'
    boxes = picture.rows['view 0\nas cropped'][0].boxes
    np.testing.assert_array_equal(boxes.corners, cnn_batch['inputs']['boxes'][0][0])
    composed = picture.rows['view 1\nX^D'][0]
    assert composed.grid is None
    assert composed.boxes.texts == ['0%', '50%']


def test_batch_of_a_point_host_shows_the_cells_of_the_foreground(cnn_batch, tmp_path):
    del cnn_batch['inputs']['boxes'], cnn_batch['inputs']['box_ids'], cnn_batch['inputs']['erase']
    branch = DecouplingBranch(key_views=(1,))
    picture = batch_panels(cnn_batch, Normalise(), branch=branch)
    panel = picture.rows['view 1\nX^D'][0]
    np.testing.assert_array_equal(panel.grid.foreground, [[False, True], [True, True]])
    np.testing.assert_allclose(panel.grid.share, [[0, 0.75], [1, 1]])
    assert panel.note.endswith('3 of 4 cells')
    assert 'view 0\nX^D' not in picture.rows
    assert draw_batch(cnn_batch, Normalise(), tmp_path / 'b.png', branch=branch).exists()


def test_views_that_the_host_makes_are_shown_with_their_boxes(cnn_batch):
    inputs = cnn_batch['inputs']
    moved = inputs['boxes'][0] + 4

    def compose(seen):
        pixels = seen['views'][1].flip(3)
        return SimpleNamespace(small=None, composed=pixels, boxes=dict(composed=moved))

    picture = batch_panels(cnn_batch, Normalise(), compose=compose)
    assert not any('x2-s' in label for label in picture.rows)  # switched off
    panel = picture.rows['view 1 moved onto\nanother (x3)'][2]
    shown = picture.rows['view 1\nafter colour'][2].image
    np.testing.assert_array_equal(panel.image, shown[:, ::-1])
    np.testing.assert_array_equal(panel.boxes.corners, moved[0])
