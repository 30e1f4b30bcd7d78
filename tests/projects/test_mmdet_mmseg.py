"""Configs of mmdet and mmseg that import this package run in those frameworks, fully loaded.

Fresh processes import this file: what it imports itself, at the top, is not this package.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.configs.test_configs import in_fresh_process
from tests.conftest import ROOT
from tests.micro_vit import MICRO

pytest.importorskip('mmcv._ext', reason='mmdet and mmseg need compiled ops')

FOLDER = ROOT / 'projects/mmdet_mmseg'
CONFIGS = {
    'mmdet': FOLDER / 'faster-rcnn_tapvit_mmdet.py',
    'mmseg': FOLDER / 'upernet_tapvit_mmseg.py',
}


@pytest.fixture(scope='module')
def scenes(tmp_path_factory) -> Path:
    from mmdssl.datasets.scenes import SceneSpec, write_scenes

    folder = tmp_path_factory.mktemp('scenes')
    write_scenes(folder, SceneSpec(), images=4, val_images=4, workers=1, progress=False)
    return folder


@pytest.fixture(scope='module')
def weights(tmp_path_factory) -> dict[str, Path]:
    """The teacher of a run, exported for each framework, with values no initialisation gives."""
    from mmdssl.conversion.convert import export_backbone
    from mmdssl.conversion.files import write_weights
    from mmdssl.models.backbones import DenseViT

    folder = tmp_path_factory.mktemp('weights')
    state = DenseViT(arch=MICRO, img_size=128).state_dict()
    generator = torch.Generator().manual_seed(1)
    content = {
        f'{network}backbone.{name}': 0.05 * torch.randn(value.shape, generator=generator)
        for network in ('', 'teacher.')
        for name, value in state.items()
    }
    torch.save(dict(state_dict=content, meta={}), folder / 'run.pth')
    files = {}
    for framework in CONFIGS:
        files[framework] = folder / f'{framework}.pth'
        result = export_backbone(folder / 'run.pth', to=framework)
        write_weights(result.state, result.meta, files[framework])
    return files


def options(data: Path, file: Path, work_dir: Path) -> dict:
    """What makes the config of the project one training step on four images."""
    settings = {
        'model.backbone.init_cfg.checkpoint': str(file),
        'work_dir': str(work_dir),
        'train_cfg.max_iters': 1,
        'train_cfg.val_interval': 1,
        'default_hooks.logger.interval': 1,
    }
    for split, name in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        loader = f'{split}_dataloader'
        settings |= {
            f'{loader}.batch_size': 2,
            f'{loader}.num_workers': 0,
            f'{loader}.persistent_workers': False,
            f'{loader}.dataset.data_root': f'{data}/',
        }
        if split != 'train':
            evaluator = f'{split}_evaluator.ann_file'
            settings[evaluator] = f'{data}/annotations/instances_{name}.json'
    return settings


def own_runner(path: str, changes: dict, exported: str) -> None:
    """What tools/train.py of mmdet and mmseg does, and nothing of this package around it."""
    from mmengine.config import Config
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    torch.set_num_threads(1)
    config = Config.fromfile(path)
    if config.default_scope == 'mmseg':  # IoUMetric reads the label maps
        changes = {k: v for k, v in changes.items() if not k.endswith('ann_file')}
    config.merge_from_dict(changes)
    runner = Runner.from_cfg(config)

    class Look(Hook):
        """Weights at the start of the training, and after its step."""

        def before_train(self, runner):
            self.start = {k: v.clone() for k, v in runner.model.backbone.state_dict().items()}

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.losses = {k: float(v) for k, v in outputs.items() if 'loss' in k}
            self.end = {k: v.clone() for k, v in runner.model.backbone.state_dict().items()}

    look = Look()
    runner.register_hook(look, priority='LOWEST')
    runner.train()

    assert type(runner.model.backbone).__name__ == 'TapViT'
    stored = torch.load(exported, weights_only=True)['state_dict']
    stored = {name.removeprefix('backbone.'): value for name, value in stored.items()}
    assert len(look.start) > 40
    for name, value in look.start.items():
        assert torch.equal(value, stored[name]), name
    unused = {'mask_token'} | ({'ln1.weight', 'ln1.bias'} - look.start.keys())
    assert stored.keys() - look.start.keys() <= unused
    assert look.losses, 'no loss was logged'
    assert all(torch.tensor(value).isfinite() for value in look.losses.values()), look.losses
    still = [name for name, value in look.end.items() if torch.equal(value, look.start[name])]
    assert still == [], still
    rates = {group['lr'] for group in runner.optim_wrapper.param_groups}
    assert len(rates) == 6  # patch embedding, four blocks, heads
    assert list(Path(runner.work_dir).glob('iter_1.pth'))


@pytest.mark.parametrize('framework', CONFIGS)
def test_own_config_starts_from_the_export_by_value_and_trains_a_step(
    framework, scenes, weights, tmp_path
):
    changes = options(scenes, weights[framework], tmp_path)
    in_fresh_process(own_runner, str(CONFIGS[framework]), changes, str(weights[framework]))


def another_architecture(path: str, file: str) -> None:
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    config = Config.fromfile(path)
    config.model.backbone.init_cfg.checkpoint = file
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    with pytest.raises(ValueError, match='another architecture'):
        model.init_weights()


def test_an_export_of_another_network_is_refused_in_mmdet_too(tmp_path):
    from mmdssl.models.backbones import DenseViT

    other = DenseViT(arch=dict(MICRO, num_layers=6), img_size=128).state_dict()
    file = tmp_path / 'other.pth'
    torch.save({f'backbone.{name}': value for name, value in other.items()}, file)
    in_fresh_process(another_architecture, str(CONFIGS['mmdet']), str(file))


def test_only_an_import_and_components_tie_the_configs_to_this_package():
    for framework, path in CONFIGS.items():
        text = path.read_text()
        assert "custom_imports = dict(imports=['mmdssl'], allow_failed_imports=False)" in text
        assert set(re.findall(r"'mmdssl\.(\w+)'", text)) == {
            'TapViT',
            'DeconvPyramid',
            'PretrainedBackbone',
            'LayerDecayOptimWrapperConstructor',
            'SafeCheckpointHook',
            'RandomStateHook',
        }
        (base,) = re.findall(r"^_base_ = '(.*)'", text, re.M) or ['']
        assert base.startswith('mmdet::') if framework == 'mmdet' else base == ''


def test_readme_names_what_there_is():
    text = (FOLDER / 'README.md').read_text()
    for path in CONFIGS.values():
        assert path.relative_to(ROOT).as_posix() in text
    for name in re.findall(r'(?:configs|tools|projects)/[\w/.-]+\.(?:py|md)', text):
        assert (ROOT / name).is_file(), name
    for block in re.findall(r'```python\n(.*?)```', text, re.S):
        ast.parse(block)


def readme_resnet(path: str, file: str) -> None:
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    config = Config.fromfile(path)
    config.model.backbone.init_cfg.checkpoint = file
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    model.init_weights()
    stored = torch.load(file, weights_only=True)
    state = model.backbone.state_dict()
    assert len(state) == len(stored)
    for name, value in state.items():
        assert torch.equal(value, stored[f'backbone.{name}']), name


@pytest.mark.slow
def test_the_resnet_of_the_readme_is_loaded_whole_by_value(tmp_path):
    from mmpretrain.models.backbones import ResNet

    (block,) = re.findall(r'```python\n(_base_.*?)```', (FOLDER / 'README.md').read_text(), re.S)
    (tmp_path / 'own.py').write_text(block)
    state = {f'backbone.{k}': v for k, v in ResNet(depth=50).state_dict().items()}
    for value in state.values():
        if value.is_floating_point():
            value.normal_(0, 0.05)
    torch.save(state, tmp_path / 'resnet.pth')
    in_fresh_process(readme_resnet, str(tmp_path / 'own.py'), str(tmp_path / 'resnet.pth'))


@pytest.mark.slow
@pytest.mark.parametrize('framework', CONFIGS)
def test_their_own_tools_train_and_resume_and_test(framework, scenes, weights, tmp_path):
    """python -m pytest -m slow tests/projects/test_mmdet_mmseg.py"""
    tools = Path(__import__(framework).__file__).parent / '.mim/tools'
    if not tools.is_dir():
        pytest.skip(f'{framework} was installed without its tools')
    changes = options(scenes, weights[framework], tmp_path)
    if framework == 'mmseg':
        changes = {k: v for k, v in changes.items() if not k.endswith('ann_file')}
    if not torch.cuda.is_available():
        assert 'SyncBN' not in CONFIGS[framework].read_text().replace('SyncBN on several GPUs', '')

    def run(tool: str, *arguments: str, **more: object) -> str:
        given = [f'{key}={value}' for key, value in (changes | more).items()]
        command = [sys.executable, str(tools / f'{tool}.py'), str(CONFIGS[framework])]
        command += [*arguments, '--cfg-options', *given]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    run('train')
    run('train', '--resume', **{'train_cfg.max_iters': 2})
    state = torch.load(tmp_path / 'iter_2.pth', weights_only=True)
    assert state['meta']['iter'] == 2
    found = run('test', str(tmp_path / 'iter_2.pth'))
    assert ('bbox_mAP' if framework == 'mmdet' else 'mIoU') in found
