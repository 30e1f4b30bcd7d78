"""The grid repeats one picture exactly, its boxes are the cells, and the choice is recorded."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmdssl.datasets.diagnostics.image_grids import ImageGrids
from mmdssl.registry import DATASETS


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('pictures')
    generator = np.random.default_rng(0)
    for number in range(8):
        pixels = generator.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f'{number}.png')
    return root


def grids(folder, **settings) -> ImageGrids:
    settings = (
        dict(type='ImageGrids', data_root=folder, num=3, cell=32, stride=16, cache=False) | settings
    )
    return DATASETS.build(settings)


def test_all_cells_hold_the_same_picture_and_boxes_are_the_cells(folder):
    sample = grids(folder)[0]
    canvas, boxes = sample['inputs'], sample['data_samples'].diagnostic_boxes
    assert canvas.shape == (1, 3, 96, 96)
    assert canvas.dtype == torch.uint8
    assert boxes.shape == (1, 9, 4)
    assert boxes[0, 5].tolist() == [64, 32, 96, 64]  # middle row, right column
    cells = [canvas[0, :, int(y1) : int(y2), int(x1) : int(x2)] for x1, y1, x2, y2 in boxes[0]]
    assert all(torch.equal(cell, cells[4]) for cell in cells)
    assert cells[0].float().std() > 10


def test_margin_shrinks_the_boxes_about_their_cells(folder):
    boxes = grids(folder, margin=5)[1]['data_samples'].diagnostic_boxes
    assert boxes[0, 0].tolist() == [5, 5, 27, 27]
    assert boxes[0, 8].tolist() == [69, 69, 91, 91]


def test_choice_depends_on_the_seed_alone_and_is_recorded(folder):
    def names(**settings):
        data = grids(folder, **settings)
        return [data[i]['data_samples'].img_path for i in range(len(data))]

    assert names() == names()
    assert len(set(names(num=8))) == 8
    assert len({tuple(names(seed=seed)) for seed in range(6)}) > 1
    selection = grids(folder, seed=3).metainfo['selection']
    assert (selection['seed'], selection['num'], selection['cell']) == (3, 3, 32)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(cell=40), 'cell=40 is no multiple of stride=16'),
        (dict(num=9), 'holds 8 images, not the num=9'),
        (dict(grid=4), 'grid=4 must be odd'),
        (dict(margin=16), 'margin=16'),
        (dict(num=0), 'num=0'),
    ],
)
def test_unusable_arguments_are_named(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        grids(folder, **settings)


def test_cells_of_any_size_where_phases_may_differ(folder):
    assert grids(folder, cell=40, stride=None)[0]['inputs'].shape == (1, 3, 120, 120)


def test_an_index_outside_is_an_index_error(folder):
    with pytest.raises(IndexError):
        grids(folder)[3]
