"""Every kind of training that the package ships, cut down to a few steps of a few scenes."""

import itertools
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmdssl.datasets.proposals.making import ProposalSettings, make_proposals
from mmdssl.datasets.scenes import SceneSpec, write_scenes
from mmdssl.engine.config import load_config
from mmdssl.engine.launch import build_runner, prepare_config
from mmdssl.models.backbones import DenseViT
from tests.conftest import ROOT
from tests.engine.toy import end_workers, state_of
from tests.micro_vit import MICRO

#: Pre-training, by the beginning of a config's name; one of every family, and its branch.
HOSTS = (
    'ibot', 'ibot-d', 'ibot-rcc', 'ibot-mc', 'ibot-gram', 'mocov2', 'densecl', 'densecl-d',
    'pointlevel', 'pointlevel-d', 'pixpro', 'pixpro-d', 'byol', 'byol-d',
    'resim', 'resim-d', 'soco',
    'soco-rcc', 'soco-d', 'd3ssl', 'd3ssl-wo-depos', 'maskalign', 'maskalign-d', 'leopart',
    'leopart-d', 'slotcon', 'slotcon-d', 'neco', 'neco-d', 'plrc', 'plrc-d', 'selfemd',
    'selfemd-d',
)  # fmt: skip
#: Fine-tuning with mmdet and mmseg.
_DETECTION = 'configs/transfer/scenes_detection'
_SEGMENTATION = 'configs/transfer/scenes_segmentation'
FINE_TUNED = {
    'mask-rcnn-c4': f'{_DETECTION}/mask-rcnn_r18w32-c4_1xb4-300i_scenes.py',
    'cascade': f'{_DETECTION}/cascade-mask-rcnn_vit-micro-p16_1xb4-300i_scenes.py',
    'linear-probe': f'{_SEGMENTATION}/linear_vit-micro-p16_1xb16-300i_scenes.py',
    'upernet': f'{_SEGMENTATION}/upernet_vit-micro-p16_1xb8-300i_scenes.py',
    'own-mmdet': 'projects/mmdet_mmseg/faster-rcnn_tapvit_mmdet.py',  # batches by aspect ratio
}
IMAGES, BATCH = 12, 4
_runs = itertools.count()


def write_data(folder: Path) -> Path:
    """Scenes, their proposals, and a backbone for those who start from one."""
    write_scenes(folder, SceneSpec(), images=IMAGES, val_images=2, progress=False)
    make_proposals(
        folder / 'train', folder / 'proposals/ss_train.npz', ProposalSettings(), progress=False
    )
    torch.manual_seed(0)
    net = DenseViT(arch=MICRO, img_size=128)
    net.init_weights()
    state = {f'backbone.{name}': value for name, value in net.state_dict().items()}
    meta = dict(evaluated_backbone='student')
    torch.save(dict(meta=meta, state_dict=state), folder / 'start.pth')
    return folder


def host_config(host: str, data: Path, *, by_epoch: bool) -> Config:
    """Six iterations of four images, two passes over the data, a checkpoint within the second."""
    fine_tuned = host in FINE_TUNED
    found = [FINE_TUNED[host]] if fine_tuned else (ROOT / 'configs/scenes').glob(f'{host}_*.py')
    (path,) = (
        one for one in found if '-64px_' not in str(one)
    )  # the demo has a DenseCL of its own
    config = load_config(ROOT / path, {'data_root': str(data)})
    if fine_tuned:
        config.model.backbone.init_cfg = None
        if 'shared_head' in config.model.get('roi_head', {}):
            config.model.roi_head.shared_head.init_cfg = None
    if host.startswith(('leopart', 'neco')):
        config.model.init = str(data / 'start.pth')
    if host.startswith('maskalign'):
        config.model.teacher.checkpoint = str(data / 'start.pth')
    for branch in config.model.get('branches', []):
        # Taken, begun and taken anew on both sides of the checkpoint that a run goes on from.
        branch.update(teacher_from=1, start=2, warmup=2, refresh_every=2, refresh_start=2)
    for step in config.train_dataloader.dataset.get('pipeline', []):
        step.pop('expect', None)
    loader, length = config.train_dataloader, IMAGES // BATCH
    loader.batch_size = BATCH
    if by_epoch:
        loader.sampler = dict(type='DefaultSampler', shuffle=True)
        config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
    else:
        config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2 * length)
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        config.pop(key, None)
    for key in ('test_cfg', 'test_dataloader', 'test_evaluator'):
        config.pop(key, None)
    kept = ('RandomStateHook', 'TeacherUpdateHook')
    config.custom_hooks = [h for h in config.custom_hooks if h['type'].split('.')[-1] in kept]
    config.param_scheduler = []
    config.randomness = dict(seed=0, diff_rank_seed=True)
    config.default_hooks.checkpoint = dict(
        type='mmdssl.SafeCheckpointHook', by_epoch=False, interval=2
    )
    config.log_level = 'ERROR'
    return config


def run(
    host: str,
    data: Path,
    work_dir: Path,
    *,
    by_epoch: bool = False,
    resume: Path | None = None,
    **loader: Any,
) -> dict[str, torch.Tensor]:
    """Train, or go on from a checkpoint.

    Args:
        host: One of `HOSTS` or `FINE_TUNED`.
        data: Folder of `write_data`.
        loader: Changes of the training loader, ``num_workers`` above all.

    Returns:
        Weights, buffers and moments at the end.
    """
    config = host_config(host, data, by_epoch=by_epoch)
    config.train_dataloader.update(loader)
    config.experiment_name = f'{host}-{next(_runs)}'  # nothing is shared with another run
    config.visualizer = dict(type='Visualizer', name=config.experiment_name)
    prepare_config(config, work_dir=work_dir, resume=str(resume) if resume else None)
    # Formatting the config for logs and checkpoints takes longer than the six iterations.
    with mock.patch.object(Config, 'pretty_text', ''):
        runner: Runner = build_runner(config)
        runner.train()
    end_workers(runner)
    return {name: value.clone() for name, value in state_of(runner).items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
