"""What is asked of a fine-tuned detector or segmentor is checked before it is built."""

import pytest
import torch
from mmengine.config import Config

from mmdssl.engine import fine_tuned
from mmdssl.engine.fine_tuned import build_test_runner
from tests.engine.toy import toy_runner


def test_what_cannot_be_tested_is_told_before_anything_is_built(tmp_path):
    config = Config(
        dict(default_scope='mmdet', model=dict(), test_dataloader=dict(), test_evaluator=dict())
    )
    with pytest.raises(ValueError, match=r'config of mmdet is tested with the checkpoint'):
        build_test_runner(config, None, str(tmp_path))
    with pytest.raises(ValueError, match=r'no test_evaluator; there is nothing to test on'):
        build_test_runner(
            Config(dict(default_scope='mmdet', test_dataloader=dict())),
            tmp_path / 'a.pth',
            str(tmp_path),
        )
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth'):
        build_test_runner(config, tmp_path / 'nowhere.pth', str(tmp_path))


def test_pictures_go_where_they_are_asked_for(tmp_path):
    config = Config(
        dict(default_scope='mmdet', default_hooks=dict(timer=dict(type='IterTimerHook')))
    )
    fine_tuned._draw_into(config, tmp_path)
    assert config.default_hooks.visualization == dict(
        type='DetVisualizationHook', draw=True, test_out_dir=str(tmp_path)
    )
    assert 'timer' in config.default_hooks
    config = Config(dict(default_scope='mmseg'))
    fine_tuned._draw_into(config, tmp_path)
    assert config.default_hooks.visualization.draw
    assert config.visualizer.save_dir == str(tmp_path)


def whole(state):
    pass


def one_lost(state):
    del state['backbone.3.bias']


def one_too_many(state):
    state['head.bias'] = torch.zeros(2)


@pytest.mark.parametrize(
    ('change', 'named'),
    [(whole, None), (one_lost, r'backbone\.3\.bias'), (one_too_many, r'head\.bias')],
)
def test_every_tensor_of_the_model_is_in_the_file_and_none_besides(
    tmp_path, monkeypatch, change, named
):
    runner = toy_runner(tmp_path)
    state = {name: torch.full_like(value, 3) for name, value in runner.model.state_dict().items()}
    change(state)
    torch.save(dict(state_dict=state), tmp_path / 'a.pth')
    monkeypatch.setattr(fine_tuned, 'local_runner', lambda config: runner)
    config = Config(dict(default_scope='mmdet', test_dataloader=dict(), test_evaluator=dict()))
    if named is None:
        built = build_test_runner(config, tmp_path / 'a.pth', str(tmp_path))
        assert all(bool((value == 3).all()) for value in built.model.state_dict().values())
        return
    with pytest.raises(ValueError, match=rf'not a checkpoint of the ToyHost of .*{named}'):
        build_test_runner(config, tmp_path / 'a.pth', str(tmp_path))
