"""What a method makes of a batch is drawn with the weights that were asked for."""

import pytest
import torch
from torch import nn

from mmdssl.engine.config import load_config
from mmdssl.visualization.method_pictures import draw_method, give_weights, has_pictures
from mmdssl.visualization.preview import build_model
from tests.models.tiny_neco import tiny_neco
from tests.tiny_scenes import CONFIG


@pytest.fixture
def leopart():
    config = next(CONFIG.parent.glob('leopart_*.py'))
    return build_model(load_config(config, {'model.init': 'random'}))


def test_a_run_of_leopart_gives_all_its_weights(leopart, tmp_path):
    file = tmp_path / 'iter_1.pth'
    state = {
        name: value + 1 if value.is_floating_point() else value
        for name, value in leopart.state_dict().items()
    }
    torch.save({'state_dict': state}, file)
    give_weights(leopart, file)
    for name, value in leopart.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_another_checkpoint_is_refused_in_a_sentence(leopart, tmp_path):
    file = tmp_path / 'iter_1.pth'
    torch.save({'state_dict': dict(list(leopart.state_dict().items())[:10])}, file)
    with pytest.raises(ValueError, match=r'iter_1.pth is not of a run with this config: 1?\d tens'):
        give_weights(leopart, file)


def test_other_models_have_no_such_pictures(tmp_path):
    assert not has_pictures(nn.Linear(1, 1))
    assert not has_pictures(tiny_neco())
    with pytest.raises(ValueError, match='in the pictures of Linear, leave it out'):
        give_weights(nn.Linear(1, 1), tmp_path / 'iter_1.pth')
    with pytest.raises(TypeError, match='Linear has no pictures'):
        draw_method({}, nn.Linear(1, 1), tmp_path, step=0, images=1)
