import yaml

from tests.conftest import ROOT
from tools import make_model_index
from tools.make_model_index import files, main, read_header


def test_metafiles_are_what_the_headers_say(capsys):
    assert main(['--check']) == 0, capsys.readouterr().out


def test_every_config_is_in_the_index_once_and_its_collection_exists():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    models, collections = [], []
    for name in index['Import']:
        content = yaml.safe_load((ROOT / name).read_text())
        models += content['Models']
        collections += [one['Name'] for one in content['Collections']]
        assert (ROOT / name).with_name('README.md').is_file()
    configs = [path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts]
    configs = [path for path in configs if path.parent.name != 'configs']
    found = sorted(model['Config'] for model in models)
    assert found == sorted(path.relative_to(ROOT).as_posix() for path in configs)
    assert len({model['Name'] for model in models}) == len(models)
    assert len(set(collections)) == len(collections)
    assert {m['In Collection'] for m in models if 'In Collection' in m} <= set(collections)


def test_a_published_score_is_never_a_result():
    for path, text in files().items():
        for model in yaml.safe_load(text).get('Models', []):
            header = read_header(ROOT / model['Config'])
            assert model['Published'] == header['Published'].rstrip('.'), path
            assert model['Measured'] == header['Measured'].rstrip('.'), path
            assert model['Results'] is None, path  # that of released weights: there are none
            assert model['Weights'] is None, path


def test_name_gives_batch_and_length():
    path = next((ROOT / 'configs' / 'ibot').glob('ibot_*8xb64*800e*.py'))
    model = make_model_index.describe(path)
    assert model['Metadata'] == {'Training Data': 'coco', 'Batch Size': 512, 'Epochs': 800}
    assert model['In Collection'] == 'iBOT'
    assert '42.3 box AP' in model['Published']


def test_changed_header_is_out_of_date(monkeypatch, tmp_path, capsys):
    folder = tmp_path / 'configs' / 'ibot'
    folder.mkdir(parents=True)
    header = 'Reproduces: a.\nCommand: b.\nCosts: c.\nPublished: 1.0 AP.\nMeasured: not measured.'
    config = folder / 'ibot_x_1xb8-3e_data.py'
    config.write_text(f'"""iBOT.\n\n{header}\n"""\n')
    monkeypatch.setattr(make_model_index, 'ROOT', tmp_path)
    assert main([]) == 0
    assert main(['--check']) == 0
    config.write_text(config.read_text().replace('1.0', '2.0'))
    assert main(['--check']) == 1
    assert 'out of date: configs/ibot/metafile.yml' in capsys.readouterr().out
    config.write_text('"""iBOT."""\n')
    assert main(['--check']) == 1
    assert "no entry 'Reproduces:' or 'Purpose:'" in capsys.readouterr().err
