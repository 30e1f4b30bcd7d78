"""``mmdssl scenes``: options reach the spec, errors are one line, an interrupt can go on."""

import json

from mmdssl.cli import scenes as tool
from mmdssl.datasets.scenes import PRESETS, SceneSpec
from mmdssl.datasets.scenes.backgrounds import BACKGROUNDS
from mmdssl.datasets.scenes.shapes import SHAPES
from mmdssl.datasets.scenes.spec import HUES
from mmdssl.datasets.scenes.textures import TEXTURES


def record(folder):
    return json.loads((folder / 'scenes.json').read_text())


def test_options_reach_the_scenes(tmp_path, capsys):
    command = (
        f'{tmp_path}/s --images 6 --val-images 2 --size 64 --seed 3 --context-bias 1 '
        '--objects 2 3 --shapes disc heart --textures striped zigzag --workers 2'
    )
    assert tool.main(command.split()) == 0
    spec = SceneSpec(
        size=64,
        seed=3,
        context_bias=1.0,
        objects=(2, 3),
        shapes=('disc', 'heart'),
        textures=('striped', 'zigzag'),
    )
    assert record(tmp_path / 's')['spec'] == spec.as_dict()
    assert record(tmp_path / 's')['images'] == {'train': 6, 'val': 2}
    assert record(tmp_path / 's')['splits']['train']['tied_share'] == 1
    assert 'train: 6 images' in capsys.readouterr().out


def test_preset_is_the_base_of_options(tmp_path):
    command = f'{tmp_path}/s --preset miniature --images 5 --seed 1 --workers 1'
    assert tool.main(command.split()) == 0
    assert record(tmp_path / 's')['spec'] == SceneSpec(**PRESETS['miniature'], seed=1).as_dict()
    assert record(tmp_path / 's')['images'] == {'train': 5, 'val': 1}


def test_the_help_names_all_that_scenes_know():
    assert tuple(PRESETS) == tool.SETTINGS
    known = dict(shapes=SHAPES, textures=TEXTURES, hues=HUES, backgrounds=BACKGROUNDS)
    assert {option: text.split() for option, text in tool.NAMES.items()} == {
        option: list(names) for option, names in known.items()
    }


def test_mistakes_are_one_line(tmp_path, capsys):
    assert tool.main([f'{tmp_path}/s', '--context-bias', '2']) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: context_bias')
    assert error.count('\n') == 1


def test_interrupt_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmdssl.datasets.scenes.write_scenes', interrupted)
    assert tool.main([f'{tmp_path}/s']) == 130
    assert 'the same command completes' in capsys.readouterr().err


def test_voc_layout_is_written_beside_the_scenes(tmp_path, capsys):
    command = f'{tmp_path}/s --images 3 --val-images 1 --size 64 --workers 1 --voc {tmp_path}/voc'
    assert tool.main(command.split()) == 0
    assert 'trainval.txt, 3 images' in capsys.readouterr().out
    assert len(list((tmp_path / 'voc/Annotations').iterdir())) == 4
    assert tool.main([*command.split()[:-1], f'{tmp_path}/s']) == 2
    assert 'choose another folder' in capsys.readouterr().err
