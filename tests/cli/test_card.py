"""``mmdssl card`` on tiny scenes: two networks, resumed, with a photo that is broken."""

import json
import shutil

import pytest
import torch

from mmdssl.cli import card, test
from mmdssl.engine.card import measures
from mmdssl.registry import MODELS
from tests.cli.test_analyze_networks import CONFIG
from tests.tiny_scenes import write_tiny_scenes

VIT = dict(
    type='DenseViT',
    arch=dict(embed_dims=24, num_layers=4, num_heads=2, feedforward_channels=48),
    img_size=64,
    patch_size=8,
)


def run(*arguments):
    return card.main([str(one) for one in arguments])


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = write_tiny_scenes(tmp_path_factory.mktemp('scenes'), images=16, val_images=8)
    sorted((folder / 'val').iterdir())[0].write_bytes(b'broken')
    return folder


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    file = tmp_path_factory.mktemp('config') / 'tiny.py'
    file.write_text(CONFIG + f'model = dict(type="FeatureExtractor", backbone={VIT})\n')
    return file


@pytest.fixture(scope='module')
def made(scenes, config, tmp_path_factory):
    out = tmp_path_factory.mktemp('card')
    command = [f'vit={config}:untrained', 'torchvision:squeezenet1_1:untrained', '--data', scenes]
    command += ['--size', 64, '--num', 12, '--bootstrap', 20, '--workers', 0, '--out', out]
    assert run(*command) == 0
    return command, out


def content(out, name):
    return json.loads((out / f'{name}.json').read_text())


def row(card, measure):
    return next(one for one in card['rows'] if one['measure'] == measure)


def parameters():
    return sum(one.numel() for one in MODELS.build(VIT).parameters()) / 1e6


def test_every_value_has_its_n_and_interval(made):
    _, out = made
    vit = content(out, 'vit')
    assert vit['missing'] == {}
    assert set(vit['groups']) == set(measures.GROUPS)
    for one in vit['rows']:
        assert one['value'] is not None, one
        if one['section'] == 'Size and speed':
            continue
        assert one['n'] > 0
        bare = ('longest over median', 'median norm', 'clamped denominators of the published, %')
        if one['measure'] in bare:
            continue
        assert one.get('error', 0) > 0 or one['low'] <= one['high'], one
        # A mean over classes lacks some in most sets of photos: its interval need not hold it.
        if 'low' in one and not one['section'].startswith('Segmentation'):
            assert one['low'] <= one['value'] <= one['high'], one
    assert row(vit, 'parameters, millions')['value'] == pytest.approx(parameters(), rel=1e-6)
    assert {'versions', 'hardware', 'command', 'seed', 'data'} <= set(vit)
    other = content(out, 'torchvision-squeezenet1_1-untrained')
    assert row(other, 'LOST, keys')['reason'] == 'not measured of this network'
    assert row(other, 'LOST, outputs')['value'] is not None
    # Two by two patches at 64 px: nothing to compare, which ends nothing else.
    assert 'none of 7 images' in row(other, 'affinity, outputs')['reason']
    assert row(other, 'O-KNN, top-1')['value'] is not None


def test_objects_score_as_mmdssl_test_scores_them(made, config, scenes, tmp_path):
    """The shared passes change no number: the same photos, measured by another command."""
    _, out = made
    files = {'bank': 'train', 'query': 'val'}
    parts = {
        name: dict(
            ann_file=str(out / 'data' / f'{name.partition("_")[0]}.json'),
            data_prefix=str(scenes / files[name.partition('_')[0]]),
        )
        for name in ('bank', 'query', 'bank_disturbed', 'query_disturbed')
    }
    file = tmp_path / 'own.py'
    file.write_text(
        f'_base_ = {str(config)!r}\n'
        f'object_knn_dataloader = dict(dataset=dict(data_root="", datasets={parts}))\n'
    )
    options = ['--work-dir', tmp_path, '--out', tmp_path / 'numbers.json']
    assert test.main([str(one) for one in (file, *options)]) == 0
    want = json.loads((tmp_path / 'numbers.json').read_text())
    found = content(out, 'vit')['groups']['objects']['numbers']
    for name, value in want.items():
        assert found[name] == pytest.approx(value), name


def test_the_broken_photo_is_left_out_and_named_on_the_page(made):
    _, out = made
    page = (out / 'card.html').read_text()
    (name,) = content(out, 'vit')['data']['query']['left_out']
    assert name.split(' ')[0] in page
    assert content(out, 'vit')['data']['query']['images'] == 7


def test_the_page_stands_alone_and_names_no_path(made, scenes):
    _, out = made
    page = (out / 'card.html').read_text()
    for word in ('http:', 'https:', '<script', str(scenes), str(out)):
        assert word not in page
    assert page.count('<th scope="col">vit</th>') == 9
    assert page.count('src="data:image/png') == 3
    for section in ('Objects by nearest neighbours', 'Artefact tokens', 'Size and speed'):
        assert section in page


def test_what_is_done_is_not_done_again(made, monkeypatch, tmp_path, capsys):
    command, out = made
    again = tmp_path / 'again'
    shutil.copytree(out, again)

    def never(*args):
        raise AssertionError('measured twice')

    monkeypatch.setattr(measures, 'GROUPS', dict.fromkeys(measures.GROUPS, never))
    monkeypatch.setattr('mmdssl.engine.card.run.GROUPS', measures.GROUPS)
    assert run(*command[:-1], again) == 0
    assert capsys.readouterr().out.count('done before') == 2 * len(measures.GROUPS)
    one = content(again, 'vit')
    assert one['missing'] == {}
    one['groups'].pop('speed')
    (again / 'vit.json').write_text(json.dumps(one))
    assert run(*command[:-1], again) == 0
    assert content(again, 'vit')['missing'] == {'speed': 'measured twice'}
    # Another seed is another card.
    assert run(*command[:-1], again, '--seed', 1) == 0
    assert content(again, 'vit')['groups'] == {}


def test_weights_that_changed_are_measured_anew(config, scenes, tmp_path, capsys):
    command = [f'net={config}:{tmp_path / "net.pth"}', '--data', scenes, '--size', 64, '--num', 4]
    command += ['--measures', 'speed', '--workers', 0, '--out', tmp_path]
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = MODELS.build(VIT).state_dict()
        torch.save({f'backbone.{name}': one for name, one in state.items()}, tmp_path / 'net.pth')
        assert run(*command) == 0
        assert 'done before' not in capsys.readouterr().out


def test_boxes_without_outlines_leave_rows_out(config, scenes, tmp_path):
    own = shutil.copytree(scenes, tmp_path / 'own')
    for file in (own / 'annotations').iterdir():
        whole = json.loads(file.read_text())
        for one in whole['annotations']:
            one.pop('segmentation')
        file.write_text(json.dumps(whole))
    command = [f'vit={config}:untrained', '--data', own, '--size', 64, '--num', 6, '--workers', 0]
    command += ['--measures', 'objects', 'intra', '--out', tmp_path, '--bootstrap', 10]
    assert run(*command) == 0
    vit = content(tmp_path, 'vit')
    assert row(vit, 'O-KNN, top-1')['value'] is not None
    assert row(vit, 'affinity, outputs')['value'] is None
    assert row(vit, 'in context')['value'] is None
    assert 'segmentation' in vit['missing']['intra']
    assert 'not measured' in (tmp_path / 'card.html').read_text()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere.pth'], "backbone 'nowhere.pth' is no checkpoint"),
        (['{config}:untrained', '--measures', 'colour'], "no measures 'colour': there are speed"),
        (
            ['{config}:untrained', '--size', '60'],
            '60 x 60 pixels are no multiple of the patch size 8',
        ),
        (['{config}:untrained', '--data', 'nowhere'], 'there is no folder nowhere'),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, config, scenes, tmp_path, capsys):
    given = [one.format(config=config) for one in arguments]
    given += [] if '--data' in given else ['--data', str(scenes)]
    assert run(*given, '--out', tmp_path, '--num', 4, '--workers', 0) == 2
    (error,) = [one for one in capsys.readouterr().err.splitlines() if 'error: ' in one]
    assert message in error
