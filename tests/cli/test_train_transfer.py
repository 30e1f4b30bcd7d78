"""``mmdssl train`` on configs of mmdet and mmseg: rehearsal, precision, files, mistakes."""

import json
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmcv._ext', reason='mmdet and mmseg need compiled ops')

from mmpretrain.models.backbones import ResNet

from mmdssl.datasets.scenes import SceneSpec, write_scenes
from mmdssl.models.backbones import DenseViT, TapViT
from mmdssl.models.utils.pretrained import load_part
from tests.commands import run_command, tool
from tests.conftest import ROOT
from tests.micro_vit import MICRO

DETECTOR = ROOT / 'projects/mmdet_mmseg/faster-rcnn_tapvit_mmdet.py'
SEGMENTOR = ROOT / 'projects/mmdet_mmseg/upernet_tapvit_mmseg.py'
NAME = 'backbone.layers.0.attn.qkv.weight'


@pytest.fixture(scope='module')
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('scenes')
    write_scenes(folder, SceneSpec(), images=4, val_images=2, workers=1, progress=False)
    return folder


@pytest.fixture(scope='module')
def run_file(tmp_path_factory) -> Path:
    """A checkpoint as a run leaves it: student, teacher, and what only the run itself needs."""
    torch.manual_seed(0)
    state = {}
    for network in ('', 'teacher.'):
        net = DenseViT(arch=MICRO, img_size=128)
        net.init_weights()
        state |= {f'{network}backbone.{name}': value for name, value in net.state_dict().items()}
    path = tmp_path_factory.mktemp('run') / 'iter_5.pth'
    meta = dict(evaluated_backbone='teacher', iter=5, epoch=0)
    torch.save(dict(meta=meta, state_dict=state, optimizer=dict(state={}), message_hub={}), path)
    return path


def options(data: Path, file: object, **changes: object) -> list[str]:
    given = {
        'data_root': data,
        'model.backbone.init_cfg.checkpoint': file,
        'train_cfg.max_iters': 1,
        'train_cfg.val_interval': 9,
        'default_hooks.logger.interval': 1,
    }
    for split in ('train', 'val', 'test'):
        given[f'{split}_dataloader.num_workers'] = 0
        given[f'{split}_dataloader.persistent_workers'] = False
        given[f'{split}_dataloader.batch_size'] = 2
    return ['--cfg-options', *(f'{key}={value}' for key, value in (given | changes).items())]


def told(capsys, *arguments: object) -> str:
    """The one sentence with which the command ends."""
    with pytest.raises(SystemExit) as stopped:
        tool('train', *arguments)
    assert stopped.value.code == 2
    found = capsys.readouterr().err
    assert 'Traceback' not in found
    (message,) = [line for line in found.splitlines() if line.startswith('error: ')]
    return message


@pytest.mark.parametrize(
    'config',
    [
        pytest.param(DETECTOR, id='mmdet'),
        pytest.param(SEGMENTOR, id='mmseg', marks=pytest.mark.slow),
    ],
)
def test_dry_run_measures_and_draws_and_leaves_nothing_else(
    config, scenes, run_file, tmp_path, capsys
):
    tool('train', config, '--dry-run', '--work-dir', tmp_path, *options(scenes, run_file))
    assert 'estimated total   1 iterations' in capsys.readouterr().out
    left = sorted(path.name for path in tmp_path.rglob('*') if path.is_file())
    assert left == ['batch.png', 'report.json']
    assert json.loads((tmp_path / 'dry_run/report.json').read_text())['images_per_batch'] == 2


def test_a_published_file_starts_a_backbone_from_the_teacher(run_file, tmp_path):
    tool('convert', 'publish', run_file, tmp_path)
    (public,) = tmp_path.glob('iter_5-*.pth')
    net = TapViT(arch=MICRO, img_size=128, out_indices=(0, 1, 2, 3), tap_norm=True)
    report = load_part(net, public)
    assert report.coverage == 1
    state = torch.load(run_file, weights_only=True)['state_dict']
    for name, value in net.state_dict().items():
        assert torch.equal(value, state[f'teacher.backbone.{name}']), name


@pytest.mark.slow
def test_a_published_file_is_a_start(scenes, run_file, tmp_path):
    tool('convert', 'publish', run_file, tmp_path)
    (public,) = tmp_path.glob('iter_5-*.pth')
    tool('train', SEGMENTOR, '--work-dir', tmp_path / 'run', *options(scenes, public))
    start = torch.load(public, weights_only=True)['state_dict']
    tuned = torch.load(tmp_path / 'run/iter_1.pth', weights_only=True)['state_dict'][NAME]
    assert (tuned - start[f'teacher.{NAME}']).abs().max() < 1e-4  # one step of the warm-up
    assert (tuned - start[NAME]).abs().mean() > 1e-2


@pytest.mark.skipif(torch.cuda.is_available(), reason='with a GPU it runs')
@pytest.mark.parametrize('precision', ['bf16', 'auto'])
def test_mixed_precision_without_a_gpu_is_one_sentence(
    precision, scenes, run_file, tmp_path, capsys
):
    message = told(
        capsys, SEGMENTOR, '--amp', precision, '--work-dir', tmp_path, *options(scenes, run_file)
    )
    assert 'needs a GPU, and there is none: add --amp off' in message


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_mixed_precision_trains_on_a_gpu(scenes, run_file, tmp_path):
    tool('train', SEGMENTOR, '--amp', 'bf16', '--work-dir', tmp_path, *options(scenes, run_file))
    saved = torch.load(tmp_path / 'iter_1.pth', weights_only=True)['state_dict']
    assert saved[NAME].dtype == torch.float32


@pytest.mark.slow
def test_amp_off_makes_a_config_in_half_precision_run_anywhere(scenes, run_file, tmp_path):
    half = {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.loss_scale': 'dynamic'}
    tool(
        'train', SEGMENTOR, '--amp', 'off', '--work-dir', tmp_path,
        *options(scenes, run_file, **half),
    )  # fmt: skip
    assert (tmp_path / 'iter_1.pth').is_file()


@pytest.mark.slow
def test_files_of_other_architectures_are_refused(scenes, tmp_path, capsys):
    nets = dict(
        resnet=ResNet(depth=18), deeper=DenseViT(arch=dict(MICRO, num_layers=6), img_size=128)
    )
    for name, net in nets.items():
        file = tmp_path / f'{name}.pth'
        torch.save({f'backbone.{k}': v for k, v in net.state_dict().items()}, file)
        message = told(capsys, DETECTOR, '--work-dir', tmp_path, *options(scenes, file))
        assert 'another architecture' in message
        assert 'compare the arch or depth in the config' in message
        assert len(message) < 600


def test_a_backbone_with_too_few_blocks_is_refused(scenes, run_file, tmp_path, capsys):
    few = {'model.backbone.arch.num_layers': 2}
    message = told(capsys, DETECTOR, '--work-dir', tmp_path, *options(scenes, run_file, **few))
    assert 'the backbone has 2 blocks' in message
    assert 'set out_indices to blocks it has' in message


def test_missing_compiled_ops_are_one_sentence(scenes, tmp_path, monkeypatch, capsys):
    from mmdssl import compat
    from tests.test_compat import make_stack

    monkeypatch.setattr(compat, 'inspect_stack', lambda: make_stack('mmcv._ext'))
    for config in (DETECTOR, SEGMENTOR):
        message = told(capsys, config, '--work-dir', tmp_path, *options(scenes, 'any.pth'))
        assert 'mmcv has no compiled ops' in message
        assert 'Remedy: make env-full' in message


def test_a_missing_json_is_named(scenes, run_file, tmp_path, capsys):
    away = {'train_dataloader.dataset.ann_file': 'annotations/nowhere.json'}
    message = told(capsys, DETECTOR, '--work-dir', tmp_path, *options(scenes, run_file, **away))
    assert f'no annotations {scenes}/annotations/nowhere.json' in message
    assert 'correct data_root or ann_file' in message


def test_classes_that_do_not_fit_the_json_or_the_head_are_refused(
    scenes, run_file, tmp_path, capsys
):
    key = 'train_dataloader.dataset.metainfo.classes'
    for classes, part in (
        ('mug,', 'no image with an object of the classes mug'),
        ('striped_disc,mug', 'has no category mug, but striped_disc, '),
        ('striped_disc,striped_star', 'set num_classes=2 there'),
    ):
        given = options(scenes, run_file, **{key: f'({classes})'})
        assert part in told(capsys, DETECTOR, '--work-dir', tmp_path, *given)


@pytest.mark.slow
def test_predictions_are_drawn_for_whoever_asks(scenes, run_file, tmp_path):
    for config, folder in ((DETECTOR, 'det'), (SEGMENTOR, 'seg')):
        given = options(scenes, run_file)
        tool('train', config, '--work-dir', tmp_path / folder, *given)
        tool(
            'test', config, tmp_path / folder / 'iter_1.pth', '--work-dir', tmp_path / 'test',
            '--show-dir', tmp_path / folder / 'pictures', *given,
        )  # fmt: skip
        pictures = [p for p in (tmp_path / folder / 'pictures').rglob('*.*') if p.suffix != '.json']
        assert len([p for p in pictures if p.suffix in ('.jpg', '.png')]) == 2, pictures


@pytest.mark.slow
def test_photos_of_all_shapes_train_and_are_scored(shared, run_file, tmp_path):
    changes = {
        'train_cfg.max_iters': 2,
        'train_cfg.val_interval': 2,
        'model.roi_head.bbox_head.num_classes': 3,
    }
    for split, name in (('train', 'train2017'), ('val', 'val2017')):
        dataset = f'{split}_dataloader.dataset'
        changes[f'{dataset}.ann_file'] = f'annotations/instances_{name}.json'
        changes[f'{dataset}.data_prefix.img'] = f'{name}/'
        changes[f'{dataset}.metainfo.classes'] = '(person,car,chair)'
    photos = shared('coco_mini')
    changes['val_evaluator.ann_file'] = f'{photos}/annotations/instances_val2017.json'
    tool('train', DETECTOR, '--work-dir', tmp_path, *options(photos, run_file, **changes))
    log = next(tmp_path.glob('*/vis_data/scalars.json')).read_text()
    assert 'bbox_mAP_50' in log


def test_pictures_of_predictions_are_refused_for_a_frozen_backbone(tmp_path, capsys):
    config = ROOT / 'configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py'
    assert run_command('test', config, '--show-dir', tmp_path) == 2
    assert '--show-dir is for detectors and segmentors' in capsys.readouterr().err
