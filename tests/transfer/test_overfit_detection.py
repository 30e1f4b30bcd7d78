"""A fixed handful of scenes is overfitted: fails if weights, training or scoring are wrong.

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

from mmdssl.datasets.scenes import SceneSpec, write_scenes, write_voc
from mmdssl.models.backbones import DenseViT
from tests.conftest import ROOT
from tests.micro_vit import MICRO

FOLDER = ROOT / 'configs/transfer'
#: Config -> the scores that count.
CASES = {
    'scenes_detection/cascade-mask-rcnn_vit-micro-p16': ('coco/bbox_mAP_50', 'coco/segm_mAP_50'),
    'scenes_detection/mask-rcnn_r18w32-c4': ('coco/bbox_mAP_50', 'coco/segm_mAP_50'),
    'voc_detection/faster-rcnn_r18w32-c4': ('pascal_voc/AP50',),
}


def write_backbone(name: str, path: Path) -> Path:
    """A checkpoint as a run leaves it, of the network that the config takes."""
    torch.manual_seed(0)
    if 'cascade' in name:
        net = DenseViT(arch=MICRO, img_size=128)
    else:
        net = ResNet(depth=18, stem_channels=32, base_channels=32, zero_init_residual=False)
    net.init_weights()
    torch.save({f'backbone.{key}': value for key, value in net.state_dict().items()}, path)
    return path


def run(tool: str, *arguments: str) -> str:
    """What the tool prints."""
    command = [sys.executable, f'tools/{tool}.py', *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def trained_on_is_tested_on(name: str, folder: Path) -> list[str]:
    """Eight scenes below ``folder`` and the changes of the config that score them."""
    scenes = folder / 'scenes'
    write_scenes(scenes, SceneSpec(), images=8, val_images=1, workers=1, progress=False)
    options = [
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'train_cfg.val_interval=10000',
        'train_dataloader.dataset.pipeline.2.prob=0.0',  # what is scored is what was seen
    ]
    tested = ['dataloader.num_workers=0', 'dataloader.persistent_workers=False']
    if name.startswith('voc'):
        write_voc(scenes, folder / 'voc', progress=False)
        options.append(f'data_root={folder}/voc')
        tested.append('dataloader.dataset.ann_file=ImageSets/Main/trainval.txt')
    else:
        options.append(f'data_root={scenes}')
        tested += [
            'dataloader.dataset.ann_file=annotations/instances_train.json',
            'dataloader.dataset.data_prefix.img=train/',
            f'evaluator.ann_file={scenes}/annotations/instances_train.json',
        ]
    return options + [f'{split}_{change}' for split in ('val', 'test') for change in tested]


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_eight_scenes_are_learnt_by_heart_over_a_resumed_run(name, tmp_path):
    config = str(next(FOLDER.glob(f'{name}_*i_scenes*.py')))
    options = trained_on_is_tested_on(name, tmp_path)
    file = write_backbone(name, tmp_path / 'backbone.pth')
    parts = ['model.backbone'] + ['model.roi_head.shared_head'] * ('c4' in name)
    options += [f'{part}.init_cfg.checkpoint={file}' for part in parts]
    work, scores = tmp_path / 'work', tmp_path / 'scores.json'
    train = [config, '--work-dir', str(work), '--cfg-options', *options]
    printed = run('train', *train, 'train_cfg.max_iters=200')
    assert printed.count(f' from {file} (prefix ') == len(parts)
    printed = run('train', *train[:3], '--resume', *train[3:], 'train_cfg.max_iters=300')
    assert ('BatchNorms measured on' in printed) == name.startswith('voc')
    run(
        'test',
        config,
        str(work / 'iter_300.pth'),
        *('--out', str(scores), '--work-dir', str(tmp_path / 'test')),
        *('--cfg-options', *options),
    )
    found = json.loads(scores.read_text())
    print(found)
    assert all(found[score] > 0.5 for score in CASES[name]), found
