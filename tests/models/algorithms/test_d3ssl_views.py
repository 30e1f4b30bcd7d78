"""What the workers of the configs draw, the preprocessor erases and the host composes."""

import numpy as np
import torch

from tests.models.algorithms.d3ssl_data import load_steps, worker_batch
from tests.models.algorithms.narrow_d3ssl import narrow_d3ssl

SMALL = dict(num_boxes=4, small_size=64, roi_size=8, small_roi_size=4, queue_length=320)


def composed(size: int = 40):
    """Raw batch, preprocessed batch and composed views."""
    config = load_steps()
    model = narrow_d3ssl(**SMALL, data_preprocessor=config.data_preprocessor)
    data = worker_batch(config.d3ssl_steps, size=size)
    inputs = model.data_preprocessor(data, training=True)['inputs']
    return model, inputs, model.compose(inputs)


def covered(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Pixels of which the middle lies in one of the boxes."""
    y = torch.arange(height)[:, None] + 0.5
    x = torch.arange(width) + 0.5
    x1, y1, x2, y2 = (part[:, None, None] for part in boxes.unbind(-1))
    return ((x >= x1) & (x < x2) & (y >= y1) & (y < y2)).any(0)


def test_in_x3_the_boxes_show_x2_outside_the_cut_and_all_else_another_image():
    _, inputs, views = composed()
    shown = []
    for n, paste in enumerate(inputs['paste'][0]):
        dx, dy = inputs['shift'][0][n].tolist()
        moved = torch.roll(views.second[n], (dy, dx), dims=(1, 2))
        other = views.second[views.background[n]]
        assert views.background[n] != n
        assert torch.equal(views.composed[n][:, paste], moved[:, paste])
        assert torch.equal(views.composed[n][:, ~paste], other[:, ~paste])
        boxes = views.boxes['composed'][n]
        torch.testing.assert_close(boxes, views.boxes['second'][n] + torch.tensor([dx, dy, dx, dy]))
        assert boxes.min() >= 0
        assert boxes.max() <= 128
        shown.append(paste[covered(boxes, 128, 128)].float().mean().item())
    assert min(shown) > 0.5
    assert 0.6 < np.mean(shown) < 0.9  # a cut of 0.2 to 0.5 of each, which overlap


def test_x1_is_erased_x2_is_not_and_x2s_is_erased_by_its_own_mask():
    _, inputs, views = composed()
    for n in range(len(views.first)):
        erased = inputs['erase'][0][n].bool()
        assert (views.first[n][:, erased] == 0).all()
        assert not inputs['erase'][1][n].any()
        small = inputs['erase_small'][0][n]
        assert (views.small[n][:, small] == 0).all()
        kept = ~erased[covered(views.boxes['first'][n], 128, 128)]
        assert kept.float().mean() > 0.4  # boxes lose their cut and no more
        scaled = views.boxes['small'][n]
        torch.testing.assert_close(scaled, views.boxes['second'][n] / 2)
        kept = ~small[covered(scaled, 64, 64)]
        assert kept.float().mean() > 0.35
    assert 0.3 < inputs['erase'][0].float().mean() < 0.95
    plain = torch.nn.functional.interpolate(views.second, 64, mode='bilinear', antialias=True)
    mask = inputs['erase_small'][0][:, None]
    torch.testing.assert_close(views.small, plain.masked_fill(mask, 0))


def test_boxes_of_a_row_belong_to_one_proposal_in_all_views():
    """Undone crop, flip and shift, they overlap: they differ by jitter and clipping alone."""
    config = load_steps()
    steps = [dict(config.d3ssl_steps[0], finish=None), dict(config.d3ssl_steps[1])]
    steps[1]['keys'] = ('boxes', 'box_ids')
    steps[0]['pipelines'] = [[dict(type='ResizeWithBoxes', size=128)]] * 2  # no crop: equal boxes
    data = worker_batch(steps, size=24)['inputs']
    empty = dict(
        data,
        paste=[torch.zeros(24, 128, 128, dtype=torch.bool)],
        shift=[torch.zeros(24, 2, dtype=torch.long)],
    )
    model = narrow_d3ssl(**SMALL, with_decoupling_loss=False)
    boxes = model.compose(empty).boxes
    assert torch.equal(boxes['first'], boxes['second'])
    assert (data['box_ids'][0] != data['box_ids'][1]).any()  # padding differs, matching is needed


def test_a_step_of_the_small_config_trains():
    config = load_steps()
    model = narrow_d3ssl(**SMALL, data_preprocessor=config.data_preprocessor)
    data = worker_batch(config.d3ssl_steps)
    losses = model(**model.data_preprocessor(data, training=True), mode='loss')
    assert set(losses) == {'loss_decoupling', 'loss_depositioning'}
    sum(losses.values()).backward()
    model = narrow_d3ssl(
        **SMALL, with_depositioning_loss=False, data_preprocessor=config.data_preprocessor
    )
    data = worker_batch(config.wo_depos_steps)
    losses = model(**model.data_preprocessor(data, training=True), mode='loss')
    assert set(losses) == {'loss_decoupling'}
