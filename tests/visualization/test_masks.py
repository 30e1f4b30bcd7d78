import numpy as np
from PIL import Image

from mmdssl.evaluation.cutout_ratio import cutout_examples, cutout_ratio_curve
from mmdssl.visualization.masks import draw_cutout_ratio, draw_masks


def test_every_mask_and_its_regions_are_drawn(tmp_path):
    boxes, masks = cutout_examples(count=2, size=14, regions=2)
    path = draw_masks(masks, tmp_path / 'masks.png', boxes=boxes)
    with_regions = np.asarray(Image.open(path).convert('RGB'))
    without = np.asarray(Image.open(draw_masks(masks, tmp_path / 'plain.png')).convert('RGB'))
    assert with_regions.shape == without.shape
    assert (with_regions != without).any()
    empty = {label: [np.zeros_like(mask) for mask in row] for label, row in masks.items()}
    nothing = np.asarray(Image.open(draw_masks(empty, tmp_path / 'empty.png')).convert('RGB'))
    blue = (without[..., 2].astype(int) - without[..., 0]) > 60
    assert blue.sum() > 0.02 * blue.size
    assert ((nothing[..., 2].astype(int) - nothing[..., 0]) > 60).sum() == 0


def test_cutout_ratio_is_drawn_for_every_variant(tmp_path):
    rows = cutout_ratio_curve(counts=(1, 2), repeats=3, size=56)
    path = draw_cutout_ratio(rows, tmp_path / 'curve.png')
    picture = np.asarray(Image.open(path).convert('RGB'))
    assert picture.std() > 5
    fewer = draw_cutout_ratio(rows[:2], tmp_path / 'one.png')
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > len(
        np.unique(np.asarray(Image.open(fewer).convert('RGB')).reshape(-1, 3), axis=0)
    )
