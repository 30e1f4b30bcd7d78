"""What is asked of a fine-tuned detector or segmentor is checked before it is built."""

import pytest
from mmengine.config import Config

from mmdssl.engine import fine_tuned
from mmdssl.engine.fine_tuned import build_test_runner


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
