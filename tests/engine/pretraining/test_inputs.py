"""Where images, boxes, teachers and proposals come from."""

import json

import numpy as np
import pytest

from mmdssl.datasets.shards.making import make_shards
from mmdssl.engine.pretraining import inputs
from mmdssl.registry import DATASETS
from tests.conversion.nets import checkpoint, vit
from tests.datasets.image_files import opencv
from tests.engine.pretraining.photos import GPU, make, photos, resolved, said


def labelled(folder, year='2017'):
    """The layout of COCO."""
    photos(folder / f'train{year}', 9)
    photos(folder / f'val{year}', 2)
    for part in ('train', 'val'):
        path = folder / 'annotations' / f'instances_{part}{year}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dict(images=[], annotations=[], categories=[])))
    return folder


def test_of_an_annotated_data_set_the_training_images_are_taken(tmp_path):
    found = resolved('ibot', labelled(tmp_path / 'coco'), tmp_path / 'run')
    assert said(found, 'data').startswith(f'9 images in {tmp_path / "coco" / "train2017"}')
    assert any(hook['type'] == 'ObjectKNNHook' for hook in found.config.custom_hooks)


def test_boxes_elsewhere_are_measured_on(tmp_path):
    boxes = labelled(tmp_path / 'voc', '2012')
    config = resolved('ibot', photos(tmp_path / 'p'), tmp_path / 'run', labelled=boxes).config
    data = config.object_knn_dataloader.dataset
    assert data.data_root == str(boxes)
    assert data.datasets.query.ann_file == 'annotations/instances_val2012.json'
    assert data.datasets.bank_disturbed.data_prefix == 'train2012/'
    hook = next(one for one in config.custom_hooks if one['type'] == 'ObjectKNNHook')
    assert hook['by_epoch'] is False
    assert hook['interval'] >= 1


def test_a_folder_without_that_layout_is_refused(tmp_path):
    folder = photos(tmp_path / 'p')
    with pytest.raises(ValueError, match=r'labelled=.*instances_train'):
        resolved('ibot', folder, tmp_path / 'run', labelled=folder)


@pytest.mark.parametrize(('what', 'sentence'), [('file', 'is a file'), ('none', 'does not exist')])
def test_data_that_are_no_folder(tmp_path, what, sentence):
    if what == 'file':
        (tmp_path / 'file').write_text('')
    with pytest.raises(FileNotFoundError, match=f'{sentence}: give a folder'):
        resolved('ibot', tmp_path / what, tmp_path / 'run')


def test_so_many_images_only(tmp_path):
    config = resolved('ibot', photos(tmp_path / 'p', 30), tmp_path / 'run', max_images=20).config
    assert config.train_dataloader.dataset.max_images == 20
    assert config.decisions['data'].startswith('20 images')


@pytest.mark.parametrize(
    ('method', 'option', 'sentence'),
    [
        ('maskalign', {}, 'maskalign learns from a teacher: give teacher=FILE'),
        ('maskalign', dict(teacher='gone.pth'), 'teacher=gone.pth: there is no such file'),
        ('leopart-d', {}, 'leopart-d starts from a trained ViT: give init=FILE'),
        ('ibot', dict(teacher='x.pth'), 'teacher=x.pth: ibot makes its own teacher'),
        ('ibot', dict(init='x.pth'), 'init=x.pth: there is no such file'),
        ('ibot', dict(proposals='x.npz'), 'proposals=x.npz: IBOT uses no proposals'),
    ],
)
def test_weights_and_proposals_that_are_missing_or_of_no_use(tmp_path, method, option, sentence):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        resolved(method, photos(tmp_path / 'p'), tmp_path / 'run', GPU, **option)


def test_a_given_teacher_and_start_are_taken(tmp_path):
    file = tmp_path / 'weights.pth'
    net = vit()
    checkpoint(file, net, net)
    folder = photos(tmp_path / 'p')
    teacher = resolved('maskalign', folder, tmp_path / 'run', teacher=str(file)).config.model
    assert teacher.teacher.checkpoint == str(file)
    assert resolved('leopart', folder, tmp_path / 'run', init=str(file)).config.model.init == str(
        file
    )


def test_proposals_are_made_as_the_config_expects_them_and_kept_for_the_folder(
    tmp_path, monkeypatch
):
    calls = []
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(inputs, '_make', lambda *args: calls.append(args) or make(*args))
    folder = photos(tmp_path / 'p')
    from mmdssl.engine.pretraining.request import read_request
    from mmdssl.engine.pretraining.resolver import resolve
    from tests.engine.pretraining.photos import CPU

    files = []
    for method in ('soco', 'soco-d', 'd3ssl'):
        config = resolve(read_request(method, dict(data=folder, out=tmp_path / 'run')), CPU).config
        load = config.train_dataloader.dataset.pipeline[1]
        assert load.type == 'LoadProposals'
        files.append(load.file)
        (where, file, settings, workers), expect = calls[-1], load.expect
        assert (where, str(file), workers) == (folder, load.file, CPU.cores)
        made_with = settings.parameters()
        assert {key: made_with[key] for key in ('scale', 'sigma', 'min_size', 'min_side')} == {
            key: expect[key] for key in ('scale', 'sigma', 'min_size', 'min_side')
        }
    assert len(set(files)) == 1
    assert files[0].startswith(str(tmp_path / 'cache'))


def test_shards_take_the_place_of_the_folder(tmp_path):
    folder = photos(tmp_path / 'p', 30)
    make_shards(folder, tmp_path / 'shards', size=9000, progress=False)
    found = resolved('ibot', tmp_path / 'shards', tmp_path / 'run', max_images=20)
    dataset = found.config.train_dataloader.dataset
    assert dataset.type == 'ImageShards'
    assert said(found, 'data').startswith(f'20 images in {tmp_path / "shards"}: in shards')
    built = DATASETS.build({**dataset, 'pipeline': []})
    assert len(built) == 20
    again = tmp_path / 'sharded.py'
    found.config.dump(again)
    back = resolved(str(again), folder, tmp_path / 'other').config.train_dataloader.dataset
    assert back.type == 'ImageFolder'


def test_shards_elsewhere_are_an_address(tmp_path):
    fsspec = pytest.importorskip('fsspec')
    make_shards(photos(tmp_path / 'p', 9), tmp_path / 'shards', progress=False)
    fsspec.filesystem('memory').put(str(tmp_path / 'shards'), '/inputs', recursive=True)
    found = resolved('ibot', 'memory://inputs', tmp_path / 'run')
    assert found.config.train_dataloader.dataset.data_root == 'memory://inputs'
    assert said(found, 'data').startswith('9 images in memory://inputs: in shards')


def test_photos_of_more_than_8_bits_are_told_of(tmp_path):
    data = photos(tmp_path / 'data', 4)
    assert 'more than 8 bits' not in said(resolved('ibot', data, tmp_path / 'a'), 'data')
    twelve = np.random.default_rng(0).integers(0, 4096, (48, 64, 3)).astype(np.uint16)
    for name, values in (('rgb', twelve), ('grey', twelve[..., 0])):
        (data / f'{name}.png').write_bytes(opencv(values, '.png'))
    text = said(resolved('ibot', data, tmp_path / 'a'), 'data')
    assert '33% of those looked at have more than 8 bits' in text
    assert 'channels=1' in text
