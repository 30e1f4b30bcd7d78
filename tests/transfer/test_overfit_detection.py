"""A fixed handful of scenes is learnt by heart: fails if weights, training or scoring are wrong.

python -m pytest -m slow tests/transfer/test_overfit_detection.py
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmcv._ext', reason='mmdet needs compiled ops')

from mmpretrain.models.backbones import ResNet

from mmdssl.datasets.scenes import SceneSpec, write_scenes
from mmdssl.models.backbones import DenseViT
from tests.conftest import ROOT

FOLDER = ROOT / 'configs/transfer/scenes_detection'
MICRO = dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768)


def write_backbone(name: str, path: Path) -> Path:
    """A checkpoint as a run leaves it, of the network that the config takes."""
    torch.manual_seed(0)
    if name.startswith('cascade'):
        net = DenseViT(arch=MICRO, img_size=128)
    else:
        net = ResNet(depth=18, stem_channels=32, base_channels=32, zero_init_residual=False)
    net.init_weights()
    torch.save({f'backbone.{key}': value for key, value in net.state_dict().items()}, path)
    return path


def run(tool: str, *arguments: str) -> None:
    command = [sys.executable, f'tools/{tool}.py', *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.parametrize('name', ['cascade-mask-rcnn_vit-micro-p16', 'mask-rcnn_r18w32-c4'])
def test_eight_scenes_are_learnt_by_heart_over_a_resumed_run(name, tmp_path):
    config = str(next(FOLDER.glob(f'{name}*.py')))
    data, work = tmp_path / 'scenes', tmp_path / 'work'
    write_scenes(data, SceneSpec(), images=8, val_images=1, workers=1, progress=False)
    file = write_backbone(name, tmp_path / 'backbone.pth')
    annotations = str(data / 'annotations/instances_train.json')
    starts = ['model.backbone'] + ['model.roi_head.shared_head'] * name.startswith('mask')
    options = [
        f'data_root={data}',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'train_cfg.val_interval=10000',
        'train_dataloader.dataset.pipeline.2.prob=0.0',  # what is scored is what was seen
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        'val_dataloader.dataset.ann_file=annotations/instances_train.json',
        'val_dataloader.dataset.data_prefix.img=train/',
        f'val_evaluator.ann_file={annotations}',
        *(f'{start}.init_cfg.checkpoint={file}' for start in starts),
    ]
    options += [o.replace('val_', 'test_', 1) for o in options if o.startswith('val_')]
    train = [config, '--work-dir', str(work), '--cfg-options', *options]
    run('train', *train, 'train_cfg.max_iters=200')
    run('train', *train[:3], '--resume', *train[3:], 'train_cfg.max_iters=300')
    scores = tmp_path / 'scores.json'
    run(
        'test',
        config,
        str(work / 'iter_300.pth'),
        '--out',
        str(scores),
        '--work-dir',
        str(tmp_path / 'test'),
        '--cfg-options',
        *options,
    )
    found = json.loads(scores.read_text())
    assert found['coco/bbox_mAP_50'] > 0.5, found
    assert found['coco/segm_mAP_50'] > 0.5, found
