"""``convert publish --to-hub``: safetensors that load, and a page without an invented number."""

import json
import sys

import pytest
import torch

from mmdssl.cli.convert import main
from mmdssl.conversion.hub_card import hub_card, read_measured
from mmdssl.models.utils.backbone_weights import load_backbone
from tests.conversion.nets import checkpoint, resnet, shaken


@pytest.fixture
def run(tmp_path):
    path = tmp_path / 'run' / 'iter_150.pth'
    path.parent.mkdir()
    return checkpoint(path, shaken(resnet(18), 0), shaken(resnet(18), 1))


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv('MMDSSL_HUB_FOLDER', str(tmp_path / 'mirror'))
    return tmp_path / 'mirror'


def publish(run, tmp_path, *words):
    hub = ['--to-hub', 'me/net', '--licence', 'cc-by-4.0']
    return main(['publish', str(run), str(tmp_path / 'public'), *hub, *words])


def test_published_and_loaded_again(run, tmp_path, mirror, capsys, monkeypatch):
    numbers = tmp_path / 'metrics.json'
    numbers.write_text(json.dumps({'oknn/top1': 61.25, 'oknn/top5': 80}))
    assert publish(run, tmp_path, '--keep', 'auto', '--measured', str(numbers)) == 0
    assert f'wrote {mirror / "me" / "net"}' in capsys.readouterr().out
    names = sorted(one.name for one in (mirror / 'me' / 'net').iterdir())
    assert names == ['README.md', 'model.safetensors']
    wanted = torch.load(run, weights_only=True)['state_dict']
    net = resnet(18)
    assert load_backbone(net, 'hf://me/net').coverage == 1
    assert torch.equal(net.conv1.weight, wanted['backbone.conv1.weight'])
    page = (mirror / 'me' / 'net' / 'README.md').read_text()
    assert page.startswith('---\nlicense: cc-by-4.0\n')
    for line in ('| method | DenseCL |', '| oknn/top1 | 61.25 |', '| oknn/top5 | 80 |'):
        assert line in page
    assert "mmdssl.load_backbone('hf://me/net')" in page
    assert 'not those of the paper' in page
    assert 'someone' not in page
    assert str(tmp_path) not in page
    monkeypatch.chdir(tmp_path)  # exported from there, it lands here
    assert main(['export', 'hf://me/net', '--to', 'torchvision']) == 0
    assert (tmp_path / 'net_auto-torchvision.pth').is_file()


def test_nothing_is_measured_that_was_not(run, tmp_path, mirror):
    assert publish(run, tmp_path) == 0
    page = (mirror / 'me' / 'net' / 'README.md').read_text()
    assert 'Nothing has been measured with these weights.' in page
    assert '| measure |' not in page


def test_terms_of_the_weights_it_began_with_are_on_the_page():
    page = hub_card(
        'me/net', {}, dict(licence='DINOv3 License', weights_origin='DINOv3'), licence='other'
    )
    assert 'Of the weights it began with: DINOv3 License.' in page
    assert '| weights it began with | DINOv3 |' in page


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [('{', 'is no JSON file'), ('[1]', 'numbers by name'), ('{"a": "b"}', 'numbers by name')],
)
def test_numbers_that_are_none(tmp_path, content, sentence):
    (tmp_path / 'm.json').write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_measured(tmp_path / 'm.json')
    with pytest.raises(ValueError, match='measured a is nan'):
        hub_card('me/net', {}, {}, licence='mit', measured={'a': float('nan')})


def test_mistakes_are_one_sentence_and_nothing_is_uploaded(
    run, tmp_path, mirror, capsys, monkeypatch
):
    with pytest.raises(SystemExit):
        main(['publish', str(run), str(tmp_path / 'p'), '--to-hub', 'me/net'])
    assert '--to-hub needs --licence: the weights are yours' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['publish', str(run), str(tmp_path / 'p'), '--private'])
    assert '--private is for --to-hub' in capsys.readouterr().err
    (tmp_path / 'public').mkdir()
    (tmp_path / 'public' / 'secret.txt').write_text('')
    assert publish(run, tmp_path) == 2
    assert 'holds secret.txt, and all of it would be uploaded' in capsys.readouterr().err
    (tmp_path / 'public' / 'secret.txt').unlink()
    monkeypatch.delenv('MMDSSL_HUB_FOLDER')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    assert publish(run, tmp_path) == 2
    assert 'needs huggingface_hub, which is not installed' in capsys.readouterr().err
    assert not mirror.exists()
    assert not any((tmp_path / 'public').iterdir())
