"""The settings in a config's text are read; nothing of it is run."""

from mmengine.config import Config

from mmdssl.conversion.config_text import read_config_text


def test_what_mmengine_writes_is_read_back():
    settings = dict(
        model=dict(type='IBOT', momentum=(0.99, 1.0), views=[dict(a=-1), None, True], m={'a.b': 2}),
        work_dir="it's here",
    )
    assert read_config_text(Config(settings).pretty_text) == settings


def test_what_is_no_data_is_left_out_and_not_run(tmp_path):
    mark = tmp_path / 'ran'
    text = f'import os\na = 1\nb = open({str(mark)!r}, "w")\nc = dict(x=[].append(1))\nd = -2.5\n'
    assert read_config_text(text) == dict(a=1, d=-2.5)
    assert not mark.exists()


def test_text_that_is_no_python_holds_nothing():
    assert read_config_text('model = dict(') == {}
