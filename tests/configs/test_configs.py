"""Every config builds and trains a step, in a process that has not imported mmdssl before.

The processes are forked from a server that has imported the slow dependencies only, so that a
forgotten import or registration in a config shows as it would for a user.
"""

import multiprocessing
import re
import traceback
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ('*/*.py', 'ablations/*/*.py')
    for path in (ROOT / 'configs').glob(pattern)
    if path.parent.name != '_base_'
)
# Those of configs/in_context: test_in_context.py.
EVALUATION = [path for path in CONFIGS if path.startswith('configs/object_knn')]
PRETRAINING = [
    path for path in CONFIGS if path not in EVALUATION and not path.startswith('configs/in_context')
]


def quick_and_slow(paths: list[str]) -> list:
    """Of configs that differ in their length alone the first is quick; a step knows no length.

    So is, of a full-size config and its partner with the branch, the partner: it holds the other.
    One of views of 518 px (patches of 14) takes longer than several others, and those that go on
    from given weights are quick in a small form (test_posttrain.py). Those of OpenImage-MINI and of
    ablations are others with other photos or masks (test_d3ssl_variants.py, test_ablations.py).
    """
    alike = re.compile(r'-\d+e_|-d(?=_.*_coco\.py)')
    first = {alike.sub('_', path): path for path in reversed(paths)}.values()
    long = ('-p14', 'posttrain', 'openimages_mini', 'ablations')
    quick = {path for path in first if not any(part in path for part in long)}
    return [path if path in quick else pytest.param(path, marks=pytest.mark.slow) for path in paths]


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    """A few scenes and their proposals, in the layout of scenes and of COCO."""
    from mmdssl.datasets.proposals.making import make_proposals
    from mmdssl.datasets.proposals.producers import ProposalSettings
    from mmdssl.datasets.scenes import PRESETS, SceneSpec, write_scenes

    root = tmp_path_factory.mktemp('data')
    write_scenes(root, SceneSpec(**PRESETS['miniature']), images=8, val_images=8, workers=1)
    for name in ('ss_train.npz', 'ss_train2017.npz'):
        make_proposals(
            root / 'train', root / 'proposals' / name, ProposalSettings(), progress=False
        )
    (root / 'train' / 'proposals.npz').symlink_to(root / 'proposals' / 'ss_train.npz')
    for split in ('train', 'val'):
        (root / f'{split}2017').symlink_to(root / split)
        (root / 'annotations' / f'instances_{split}2017.json').symlink_to(
            root / 'annotations' / f'instances_{split}.json'
        )
    # In that of OpenImage-MINI, beside COCO.
    for name in ('coco', 'openimages_mini'):
        (root / name).symlink_to(root)
    # And in that of photos.
    (root / 'unlabelled').symlink_to(root / 'train')
    (root / 'voc' / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        (root / 'voc' / f'{split}2012').symlink_to(root / split)
        (root / 'voc' / 'annotations' / f'instances_{split}2012.json').symlink_to(
            root / 'annotations' / f'instances_{split}.json'
        )
    return root


def in_fresh_process(function, *args) -> None:
    """Run ``function`` in a new process; its traceback becomes this one's failure."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['torch', 'mmpretrain.models', 'mmpretrain.datasets'])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, function, *args))
    process.start()
    sender.close()
    try:
        failure = receiver.recv()
    except EOFError:
        failure = 'the process died without a word'
    process.join()
    if failure:
        pytest.fail(failure)


def _report(sender, function, *args) -> None:
    import sys

    try:
        assert not any(name.split('.')[0] == 'mmdssl' for name in sys.modules)
        function(*args)
        sender.send(None)
    except BaseException:
        sender.send(traceback.format_exc())


def train_one_step(path: str, data: str, work_dir: str, options: dict | None = None) -> None:
    """What tools/train.py builds, down to one optimizer and teacher step on 4 images, or as many
    as the branch needs to de-couple one of each view."""
    import math
    import os

    import torch
    from mmengine.runner import Runner

    from mmdssl.engine.config import load_config
    from tests.configs.stated import unseeded

    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 2)))
    photos = data + '/train' * ('posttrain' in path)  # a folder of them, and nothing else
    config = load_config(ROOT / path, {'data_root': photos, **(options or {})})
    assert unseeded(config) == []
    config.work_dir = work_dir
    ratio = (config.model.get('decoupling') or {}).get('sample_ratio', 1)
    size = max(4, math.ceil(1 / ratio))
    config.train_dataloader.update(batch_size=size, num_workers=0, persistent_workers=False)
    config.visualizer = None
    if 'init' in config.model:  # the file to start from is another run's, or somebody else's
        config.model.init = 'random'
        if 'norm_eval' in config.model:  # statistics of a random net are not its own yet
            config.model.norm_eval = False
    if 'teacher' in config.model:  # its file is another run's
        config.model.teacher.init = 'random'
    wrapper = config.optim_wrapper
    if wrapper.type.startswith('Amp'):  # half precision needs a GPU
        wrapper.type = wrapper.type.removeprefix('Amp')
        for key in ('dtype', 'loss_scale'):
            wrapper.pop(key, None)
    runner = Runner.from_cfg(config)
    loop = runner._train_loop = runner.build_train_loop(runner._train_loop)
    optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper = optim_wrapper
    runner.build_param_scheduler(runner.param_schedulers)
    model = runner.model
    model.init_weights()
    model.train()
    for parameter in model.backbone.parameters():
        # Zero scales at the end of residual blocks leave what lies before them without gradient.
        if parameter.ndim == 1 and not parameter.any():
            parameter.data.fill_(0.1)
    model.clock.set(iteration=0, max_iterations=loop.max_iters, iterations_per_epoch=2)
    batch = next(iter(loop.dataloader))
    trained = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
    if config.model.type == 'DenseDistillation':  # biases that the next BatchNorm takes off again
        trained = [parameter for parameter in trained if parameter.ndim > 1]
    before = [parameter.clone() for parameter in trained]
    for group in optim_wrapper.optimizer.param_groups:
        # The warm-up starts at 0; a student that begins as its teacher has small gradients.
        group['lr'] = 0.1 if config.model.type == 'DenseDistillation' else 1e-3
    log = model.train_step(batch, optim_wrapper)
    if hasattr(model, 'update_teacher'):  # not where the teacher is frozen
        model.update_teacher()
    assert all(math.isfinite(float(value)) for value in log.values()), log
    changed = [not torch.equal(one, two) for one, two in zip(before, trained, strict=True)]
    assert all(changed), f'{changed.count(False)} parameters of the backbone did not move'
    assert any(type(hook).__name__ == 'TeacherUpdateHook' for hook in runner.hooks)
    if config.get('object_knn_dataloader') is None:  # data without boxes
        assert not any(type(hook).__name__ == 'ObjectKNNHook' for hook in runner.hooks)
        return
    if path.startswith(('configs/ibot', 'configs/posttrain')) and 'photos' in path:
        # Boxes lie elsewhere.
        config.object_knn_dataloader.dataset.data_root = data
    knn = runner.build_dataloader(
        dict(config.object_knn_dataloader, num_workers=0, persistent_workers=False, batch_size=2)
    )
    next(iter(knn))
    runner.build_evaluator(config.object_knn_evaluator)


def build_evaluation(path: str, data: str, work_dir: str) -> None:
    """The model, one batch of objects and the metrics of an evaluation config."""
    from mmengine.registry import init_default_scope
    from mmengine.runner import Runner

    from mmdssl.engine.config import load_config
    from mmdssl.registry import METRICS, MODELS
    from tests.configs.stated import unseeded

    init_default_scope('mmdssl')
    config = load_config(ROOT / path)
    assert unseeded(config) == []
    config.object_knn_dataloader.dataset.data_root = data
    config.object_knn_dataloader.update(num_workers=0, batch_size=2)
    loader = Runner.build_dataloader(config.object_knn_dataloader)
    samples = MODELS.build(config.model).test_step(next(iter(loader)))
    assert samples
    for metric in config.object_knn_evaluator:
        METRICS.build(metric)


def test_there_are_configs():
    assert len(PRETRAINING) >= 11


@pytest.mark.parametrize('path', quick_and_slow(PRETRAINING))
def test_pretraining_config_trains_a_step(path, data, tmp_path):
    in_fresh_process(train_one_step, path, str(data), str(tmp_path))


@pytest.mark.parametrize('path', EVALUATION)
def test_evaluation_config_builds(path, data, tmp_path):
    in_fresh_process(build_evaluation, path, str(data), str(tmp_path))


@pytest.mark.parametrize('path', CONFIGS)
def test_header_says_what_a_reader_needs(path):
    from tools.make_model_index import read_header  # which imports mmdssl

    assert read_header(ROOT / path)['Measured']
