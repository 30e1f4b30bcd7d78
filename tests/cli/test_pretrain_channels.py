"""``mmdssl pretrain ... channels=5``: a folder of five channels in 16 bits trains, measured."""

import json

import numpy as np
import pytest
import torch

import mmdssl
from mmdssl.cli.analyze import main as analyze
from mmdssl.cli.card import main as card
from mmdssl.cli.pretrain import main, pretrain
from mmdssl.cli.proposals import main as proposals
from mmdssl.conversion.convert import export_backbone
from mmdssl.conversion.files import write_weights
from mmdssl.datasets.proposals.store import ProposalStore
from mmdssl.datasets.scenes import PRESETS, SceneSpec, write_scenes
from mmdssl.datasets.shards.making import make_shards
from mmdssl.engine.config import load_config
from mmdssl.engine.pretraining.request import read_request
from mmdssl.engine.pretraining.resolver import resolve
from tests.cli.test_pretrain import SMALL
from tests.engine.pretraining.photos import CPU

pytest.importorskip('tifffile')
RESNET = {
    'views.size': 96,
    'workers': 0,
    'model.backbone.stem_channels': 8,
    'model.backbone.base_channels': 8,
    'model.neck.in_channels': 64,
    'model.neck.hid_channels': 32,
}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """16 scenes with boxes."""
    out = tmp_path_factory.mktemp('scenes') / 'five'
    spec = SceneSpec(**PRESETS['demo'])
    write_scenes(out, spec, images=16, val_images=4, progress=False, channels=5)
    return out


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture(scope='module')
def vit_run(tmp_path_factory, data):
    """One step of iBOT-D on the bare images, and what was said of it."""
    out = tmp_path_factory.mktemp('out') / 'vit'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(out / 'cache'))
        checkpoint = pretrain(
            'ibot-d', data=data / 'train', out=out, channels=5, epochs=1, batch=8, **SMALL
        )
    return out, checkpoint


def test_a_vit_trains_on_five_channels(vit_run):
    out, checkpoint = vit_run
    config = load_config(out / 'config.py')
    assert config.model.backbone.in_channels == 5
    assert len(config.train_dataloader.dataset.scale) == 5
    assert 'samples of uint16; by 16 images' in config.decisions.channels
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    weight = state['teacher.backbone.patch_embed.projection.weight']
    assert weight.shape[1] == 5
    assert weight.isfinite().all()
    asked = json.loads((out / 'pretrain.json').read_text())['asked']
    assert asked['channels'] == 5


def test_its_features_are_of_files_in_the_range_of_the_training(vit_run, data):
    out, _ = vit_run
    loaded = mmdssl.load_backbone(out, device='cpu')
    file = data / 'val' / '000000.tif'
    maps, _ = mmdssl.features(loaded, [file])
    scale = np.array(load_config(out / 'config.py').train_dataloader.dataset.scale)
    assert loaded.reader.limits == tuple(map(tuple, scale.tolist()))
    pixels = torch.from_numpy(loaded.reader(file)).permute(2, 0, 1)[None]
    torch.testing.assert_close(maps, mmdssl.features(loaded, pixels).maps)
    with pytest.raises(ValueError, match=r'a tensor is \(B, 5, H, W\)'):
        mmdssl.features(loaded, torch.zeros(1, 3, 96, 96))


def test_a_resnet_trains_with_the_branch_and_is_measured_by_boxes(data, tmp_path, capsys):
    """O-KNN and its disturbed form load the five channels as well; X^D exchanges all of them."""
    arguments = dict(data=data, out=tmp_path / 'r', channels=5, scale='4095', epochs=1, batch=16)
    options = [f'{key}={value}' for key, value in {**arguments, **RESNET}.items()]
    assert main(['densecl-d', *options, 'train_dataloader.dataset.dtype=uint8']) == 0
    said = capsys.readouterr().out
    assert '5: samples of uint16' in said
    assert '0..4095, 0..4095' in said
    lines = [json.loads(line) for line in next(tmp_path.rglob('scalars.json')).open()]
    assert any('loss_decoupling' in line for line in lines)
    assert any('oknn_d/top1' in line for line in lines)


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['channels=0'], 'channels=0: give a whole number of at least 1'),
        (['channels=5', 'scale=white'], 'scale=white: give a number, such as 4095'),
        (['scale=4095'], 'scale=4095 is of images of n channels: give channels as well'),
        (['channels=4'], 'it has 5 channels (its shape is 5 x 96 x 96), and channels=4 is set'),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, data, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(['ibot-d', f'data={data}', f'out={tmp_path / "r"}', *arguments])
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_method_with_proposals_has_them_searched_in_the_range_of_the_training(data, tmp_path):
    pytest.importorskip('numba')
    options = {'epochs': 1, 'batch': 4, 'workers': 0, 'views.size': 64}
    images = tmp_path / 'shards'  # a tar of TIFF files
    make_shards(data / 'val', images, progress=False)
    pretrain('soco-d', data=images, out=tmp_path / 'r', channels=5, **options)
    dataset = load_config(tmp_path / 'r' / 'config.py').train_dataloader.dataset
    assert dataset.type == 'ImageShards'
    (load,) = (step for step in dataset.pipeline if step.type == 'LoadProposals')
    parameters = ProposalStore.open(load.file).parameters
    assert parameters['channel_range'] == [list(pair) for pair in dataset.scale]
    # Those of a file are taken as they are, whatever they were searched in.
    own = tmp_path / 'own.npz'
    assert proposals([str(images), str(own), '--channels=5', '--colours=4,2,1']) == 0
    request = read_request(
        'soco-d', dict(data=images, out=tmp_path / 's', channels=5, proposals=own, **options)
    )
    config = resolve(request, CPU).config
    assert 'made before' in config.decisions.proposals
    assert str(own) in config.decisions.proposals


def test_a_converted_file_does_not_say_how_to_read(vit_run, tmp_path):
    out = export_backbone(vit_run[1], to='mmpretrain')
    write_weights(out.state, out.meta, tmp_path / 'five.pth')
    with pytest.raises(ValueError, match=r'five\.pth takes images of 5 channels, and does not say'):
        mmdssl.load_backbone(tmp_path / 'five.pth')


@pytest.mark.parametrize('command', ['affinity', 'object-knn', 'coupling'])
def test_measures_of_boxes_say_that_there_are_none(command, vit_run, capsys, tmp_path):
    assert analyze([command, str(vit_run[0] / 'config.py'), '--out', str(tmp_path)]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert 'images of 5 channels, and there are no boxes of such images in data' in said
    assert 'position, consistency, report and affinity --points need none' in said


def test_what_needs_no_boxes_looks_at_the_images_of_the_training(vit_run, tmp_path, monkeypatch):
    out, checkpoint = vit_run
    # Photos where the config was made for them are none of the run's.
    dataset = load_config(out / 'config.py').object_knn_dataloader.dataset
    (tmp_path / dataset.data_root / dataset.datasets.query.data_prefix).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    run = [str(out / 'config.py'), f'five={checkpoint}', '--num-samples', '2', '--out']
    for command, options in {
        'affinity': ['--points', '0.5,0.5', '--size', '96'],
        'consistency': ['--size', '96'],
        'position': ['--cell', '48', '--stride', '16'],
        'report': ['--size', '96', '--no-lsc'],
    }.items():
        assert analyze([command, *run, str(tmp_path), *options]) == 0
    maps = json.loads((tmp_path / 'affinity.json').read_text())
    assert maps['data']['photos'] == ['000000.tif', '000008.tif']
    assert all(np.isfinite(row['std']) for row in maps['rows'])
    page = (tmp_path / 'report.html').read_text()
    assert 'of 5 channels, shown in false colours' in page
    pictures = {path.stem for path in tmp_path.glob('*.png')}
    assert pictures == {'affinity', 'consistency', 'position'}


def test_what_needs_boxes_is_measured_on_five_channels(vit_run, data, tmp_path):
    out, checkpoint = vit_run
    run = [str(out / 'config.py'), f'five={checkpoint}', '--data-root', str(data)]
    files = ['--ann-file', 'annotations/instances_train.json', '--image-dir', 'train']
    small = ['--num-samples', '5', '--size', '96', '--out', str(tmp_path)]
    assert analyze(['coupling', *run, *files, *small, '--pairs', 'crop']) == 0
    rows = json.loads((tmp_path / 'coupling.json').read_text())['rows']
    assert {'cr_inter', 'cr_intra', 'bg_self'} <= {row['measure'] for row in rows}
    both = [files[0], files[1], files[1].replace('train', 'val'), files[2], 'train', 'val']
    assert analyze(['object-knn', *run, *both, *small, '--bootstrap', '5']) == 0
    (first, *_) = json.loads((tmp_path / 'object_knn.json').read_text())['rows']
    assert first['num_bank'] > 0


def test_a_card_is_measured_of_networks_of_the_same_images(vit_run, data, tmp_path, capsys):
    _, checkpoint = vit_run
    options = '--size 96 --num 6 --bootstrap 5 --workers 0 --measures objects inter position speed'
    command = ['--data', str(data), '--out', str(tmp_path / 'card'), *options.split()]
    assert card([f'five={checkpoint}', *command]) == 0
    content = json.loads((tmp_path / 'card' / 'five.json').read_text())
    assert set(content['groups']) == {'speed', 'objects', 'inter', 'position'}
    assert content['asked']['load']['channels'] == 5
    assert content['missing'] == {}
    other = 'photo=torchvision:squeezenet1_1:untrained'
    assert card([f'five={checkpoint}', other, *command]) == 2
    said = capsys.readouterr().err
    assert 'five takes images of 5 channels and photo photos: a card compares networks on' in said


def test_masks_are_drawn_on_a_picture_of_five_channels(data, tmp_path):
    image = str(data / 'val' / '000000.tif')
    command = ['masks', '--image', image, '--channels', '5', '--count', '1']
    assert analyze([*command, '--out', str(tmp_path)]) == 0
    assert (tmp_path / 'rcc_steps.png').is_file()
