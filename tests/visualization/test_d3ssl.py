"""The pictures show what the transforms draw and the model composes."""

import numpy as np
import torch

from mmdssl.visualization.d3ssl import d3ssl_panels, draw_d3ssl, draw_region_augmentations
from tests.models.algorithms.d3ssl_data import load_steps, worker_batch
from tests.models.algorithms.narrow_d3ssl import narrow_d3ssl
from tests.visualization.drawn import drawn

SETTINGS = dict(num_boxes=4, small_size=64, roi_size=8, small_roi_size=4, queue_length=320)


def parts(**kwargs):
    config = load_steps()
    model = narrow_d3ssl(**SETTINGS, data_preprocessor=config.data_preprocessor, **kwargs)
    return model, worker_batch(config.d3ssl_steps)


def test_x3_shows_x2_where_it_is_pasted_and_leaves_random_states_alone():
    model, data = parts()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    rows = d3ssl_panels(data, model, max_images=3)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert [len(panels) for panels in rows.values()] == [3] * 5
    second, moved = rows['x2\n(teacher)'], rows['x3\n(student)']
    for i in range(3):
        paste, (dx, dy) = data['inputs']['paste'][0][i].numpy(), data['inputs']['shift'][0][i]
        shown = np.roll(second[i].image, (int(dy), int(dx)), axis=(0, 1))
        assert np.array_equal(moved[i].image[paste], shown[paste])
        shift = [int(dx), int(dy)] * 2
        assert np.allclose(moved[i].boxes.corners, second[i].boxes.corners + shift, atol=1e-3)
        assert f'moved by {dx}, {dy}' in moved[i].note
    assert rows['x2s^\n(student)'][0].image.shape == (64, 64, 3)


def test_what_is_switched_off_has_no_row():
    model, data = parts(with_depositioning_loss=False)
    assert not any(label.startswith('x3') for label in d3ssl_panels(data, model))
    model, data = parts(with_decoupling_loss=False)
    assert not any(label.startswith('x2s') for label in d3ssl_panels(data, model))


def test_pictures_are_written(tmp_path):
    model, data = parts()
    path = draw_d3ssl(data, model, tmp_path / 'views.png', max_images=2)
    drawn(path, width=300, height=200)
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    boxes = np.array([[5, 5, 50, 50], [30, 20, 70, 55]], np.float32)
    state = np.random.get_state()[1].copy()
    one = draw_region_augmentations(image, boxes, tmp_path / 'one.png', columns=2)
    two = draw_region_augmentations(image, boxes, tmp_path / 'two.png', columns=2)
    assert one.read_bytes() == two.read_bytes()
    assert np.array_equal(state, np.random.get_state()[1])
