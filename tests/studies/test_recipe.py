"""Rows of a seed are pairs: what their names do not mention is equal bit by bit."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdssl.core.config_parts import with_masks
from mmdssl.core.shipped import shipped
from mmdssl.datasets.transforms.random_streams import restart_streams
from mmdssl.engine.config import load_config
from mmdssl.engine.launch import build_runner
from mmdssl.studies.data import make_data
from mmdssl.studies.recipe import make_config, share_batch
from mmdssl.studies.run import Plan, Run
from mmdssl.studies.study import load_study

SMALL = str(Path(__file__).with_name('small_study.py'))
CONTROLLED = 'mind_your_augmentation/controlled'


def plan_of(folder: Path, file: str = SMALL, scale: str = 'scenes', **options) -> Plan:
    options = {'seeds': (11,), **options}
    return Plan(file=file, scale=scale, out=folder / 'out', data=folder / 'data', **options)


@pytest.fixture(scope='module')
def plan(tmp_path_factory) -> Plan:
    found = plan_of(tmp_path_factory.mktemp('study'))
    make_data(found, progress=False)
    return found


def start_of(plan: Plan, name: str, tmp_path: Path):
    """Initial weights and the first two batches as the model sees them."""
    config = make_config(Run(plan=plan, name=name, seed=11))
    config.work_dir = str(tmp_path / name)
    config.experiment_name = f'{name}-{tmp_path.name}'
    restart_streams()
    runner = build_runner(config)
    model = runner.model
    model.init_weights()
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    batches = iter(runner.train_loop.dataloader)
    return weights, [model.data_preprocessor(next(batches), True)['inputs'] for _ in range(2)]


@pytest.fixture(scope='module')
def teacher(plan, tmp_path_factory) -> dict[str, torch.Tensor]:
    """What the run of iBOT would leave, at its place; here the net before its first step."""
    run = Run(plan=plan, name='ibot', seed=11)
    state = start_of(plan, 'ibot', tmp_path_factory.mktemp('teacher'))[0]
    for name, value in state.items():
        if name.startswith('teacher.'):
            value += 0.01
    run.folder.mkdir(parents=True)
    meta = dict(evaluated_backbone='teacher')
    torch.save(dict(state_dict=state, meta=meta), run.checkpoint)
    return state


def test_maskalign_and_leopart_learn_from_the_ibot_teacher_of_their_seed(plan, teacher, tmp_path):
    want = {k.removeprefix('teacher.backbone.'): v for k, v in teacher.items() if 'teacher' in k}
    for name, prefix in (('maskalign', 'teacher.backbone.'), ('leopart-d', 'backbone.')):
        run = Run(plan=plan, name=name, seed=11)
        assert run.teacher == Run(plan=plan, name='ibot', seed=11)
        assert run.teacher.checkpoint.name == 'iter_5.pth'
        weights = start_of(plan, name, tmp_path)[0]
        own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        assert all(torch.equal(value, want[key]) for key, value in own.items())
        assert len(own) > 50


def test_local_crops_of_leopart_keep_their_own_size(tmp_path):
    for scale in ('scenes', 'shape-texture'):
        plan = plan_of(tmp_path, CONTROLLED, scale)
        config = make_config(Run(plan=plan, name='leopart-d', seed=11))
        crops = [view[0] for view in config.train_dataloader.dataset.pipeline[1].pipelines]
        assert [crop['size'] for crop in crops] == [64, 32]
        assert crops[1]['scale'][1] < crops[0]['scale'][1]


@pytest.mark.parametrize(
    ('first', 'second', 'same_masks'),
    [
        ('ibot-rcc', 'ibot-d', True),
        ('densecl', 'densecl-d', True),
        ('soco', 'soco-d', True),
        pytest.param('maskalign', 'maskalign-d', True, marks=pytest.mark.slow),
        pytest.param('leopart', 'leopart-d', True, marks=pytest.mark.slow),
    ],
)
def test_arms_of_a_seed_share_weights_images_and_views(
    plan, teacher, tmp_path, first, second, same_masks
):
    (weights, batches), (others, other_batches) = (
        start_of(plan, name, tmp_path) for name in (first, second)
    )
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[k], others[k]) for k in weights)
    for one, two in zip(batches, other_batches, strict=True):
        assert 'dc_mask' not in one
        assert 'dc_mask' in two
        for key in ('views', 'boxes', 'box_ids', 'erase'):
            if key in one:
                assert all(torch.equal(a, b) for a, b in zip(one[key], two[key], strict=True)), key
        if 'mask' in one:
            same = all(torch.equal(a, b) for a, b in zip(one['mask'], two['mask'], strict=True))
            assert same == same_masks


def test_every_seed_has_scenes_of_its_own_and_none_those_of_the_demo(tmp_path):
    plan = plan_of(tmp_path)
    seeds = [plan.scene_seed(seed) for seed in (0, 11, 12)]
    assert len(set(seeds)) == 3
    assert 0 not in seeds
    assert len({plan.data_root(seed) for seed in (0, 11, 12)}) == 3


@pytest.mark.parametrize(
    ('scale', 'name', 'iters', 'warmup', 'lr', 'batch', 'side'),
    [
        ('scenes', 'ibot-d', 250, 60, 1.5e-3, 24, 64),
        ('scenes', 'ibot-low-lr', 250, 60, 0.45e-3, 24, 64),
        ('scenes', 'ibot-equal-compute', 312, 75, 1.5e-3, 24, 64),
        ('scenes', 'densecl', 250, 20, 0.06, 32, 64),
        ('scenes', 'maskalign-equal-compute', 458, 46, 1e-3, 32, 64),
        ('scenes', 'leopart', 200, 0, 1e-3, 24, 64),
        ('shape-texture', 'ibot', 1000, 100, 1e-3, 32, 64),
        ('shape-texture', 'soco-d', 1000, 100, 1.0, 32, 96),
        ('default-scenes', 'soco', 250, 25, 1.0, 32, 128),
        ('coco-mini', 'ibot-d', 400, 60, 2e-3, 32, 128),
    ],
)
def test_settings_of_the_miniature(tmp_path, scale, name, iters, warmup, lr, batch, side):
    """As they were when the tables of docs/controlled_study.md were made."""
    run = Run(plan=plan_of(tmp_path, CONTROLLED, scale), name=name, seed=11)
    config = make_config(run)
    assert run.length == ('iter', iters) == ('iter', config.train_cfg.max_iters)
    assert {(s.end, s.warmup_iters) for s in config.param_scheduler} == {(iters, warmup)}
    assert config.optim_wrapper.optimizer.lr == pytest.approx(lr)
    assert config.train_dataloader.batch_size == batch
    text = str(config.train_dataloader.dataset.pipeline)
    assert f"'type': 'RandomResizedCropWithBoxes', 'size': {side}," in text
    if 'img_size' in config.model.backbone:
        cells = side // config.model.backbone.patch_size
        assert text.count('mask_size') == text.count(f"'mask_size': ({cells}, {cells})")
    roots = {p['dataloader']['dataset']['data_root'] for p in config.coupling_diagnostics.values()}
    assert roots == {str(run.plan.data_root(11))}
    kinds = {hook.type for hook in config.custom_hooks}
    assert 'TeacherUpdateHook' in kinds
    assert not {'ObjectKNNHook', 'CouplingHook'} & kinds  # only the study measures


def test_streams_of_masks_and_branch_are_their_own(tmp_path):
    config = make_config(Run(plan=plan_of(tmp_path), name='ibot-d', seed=11))
    view = config.train_dataloader.dataset.pipeline[1].pipelines[0]
    streams = [(step.type, step.get('stream')) for step in view]
    assert streams == [
        ('RandomResizedCropWithBoxes', None),
        ('RandomFlipWithBoxes', None),
        ('GridRegions', 'masks'),
        ('RegionCollaborativeCutout', 'masks'),
        ('GridRegions', 'dc'),
        ('RegionCollaborativeCutout', 'dc'),
    ]


def test_masks_made_otherwise_are_those_of_the_config_that_has_them():
    """iBOT with RCC steps in place of its blocks is what the shipped iBOT-RCC trains on."""
    study = load_study('mind_your_augmentation/table_6')
    folder = shipped('configs') / 'scenes'
    plain, rcc = (
        load_config(folder / f'ibot{ending}_vit-micro-p16_1xb24-250i_scenes.py').train_dataloader
        for ending in ('', '-rcc')
    )
    made_by = study.row('iBOT-RCC').masks['mask']
    pipeline = with_masks(plain.dataset.pipeline, 'mask', made_by)
    text = str(pipeline).replace(", 'key': 'mask_regions'", '').replace(", 'key': 'mask'", '')
    text = text.replace(", 'regions_key': 'mask_regions'", '')
    assert sorted(text) == sorted(str(rcc.dataset.pipeline))
    assert text.index('GridRegions') < text.index('RegionCollaborativeCutout')


@pytest.mark.parametrize(
    ('name', 'kinds'),
    [('+DC_Rec', ['RectangleForeground']), ('+DC_Cutout', ['GridRegions', 'ProposalCutout'])],
)
def test_rows_change_the_mask_of_the_branch_alone(tmp_path, name, kinds):
    file = 'mind_your_augmentation/table_4'
    plan = plan_of(tmp_path, file, seeds=(0,))
    views = [
        make_config(Run(plan=plan, name=row, seed=0))
        .train_dataloader.dataset.pipeline[1]
        .pipelines[0]
        for row in (name, '+DC_RCC')
    ]
    changed, published = ([dict(step) for step in view] for view in views)
    assert changed[:4] == published[:4]  # crop, flip, and the masks of iBOT
    assert [step['type'] for step in changed[4:]] == kinds
    mask = changed[-1]
    assert (mask['key'], mask['stream'], mask['mask_size']) == ('dc_mask', 'dc', (8, 8))
    assert mask.get('regions_key') == ('dc_mask_regions' if len(kinds) > 1 else None)
    with pytest.raises(ValueError, match="makes no mask 'mask'"):
        with_masks([dict(type='LoadImage')], 'mask', [mask])


def test_warm_up_that_fills_the_run_is_refused(tmp_path):
    file = tmp_path / 'study.py'
    file.write_text(
        'from mmdssl.studies import Row, Setting, Study\n'
        "config = 'scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py'\n"
        'settings = {"scenes": Setting(config=config, iters=60, warmup=60)}\n'
        'study = Study(title="t", rows=[Row(name="ibot", settings=settings)])\n'
    )
    run = Run(plan=plan_of(tmp_path, str(file)), name='ibot', seed=11)
    with pytest.raises(ValueError, match='warm-up of 60 iterations does not fit a run of 60'):
        make_config(run)


def test_a_run_is_known_by_what_decides_it(tmp_path):
    """Elsewhere and with another seed it is the same run; another option makes it another."""

    def folder(row, file='mind_your_augmentation/table_10', seed=0, where=tmp_path):
        run = Run(plan=plan_of(where, file), name=row, seed=seed)
        assert json.loads(json.dumps(run.settings)) == run.settings
        return run.folder.relative_to(run.plan.out)

    table_11 = 'mind_your_augmentation/table_11'
    first = folder('+DC_Rec')
    assert folder('+DC_Rec', seed=3, where=tmp_path / 'x').parent == first.parent
    assert folder('+DC_p-p', table_11) == first
    assert len({first, folder('DenseCL'), folder('+DC_RCC'), folder('+DC_Avg', table_11)}) == 4
    assert first.name == 'seed-0'


def test_paper_runs_have_the_published_length_and_processes(tmp_path):
    plan = plan_of(tmp_path, 'mind_your_augmentation/table_4', 'paper')
    base, longer = (Run(plan=plan, name=name, seed=0) for name in ('iBOT', 'iBOT-equal-compute'))
    assert (base.length, longer.length) == (('epoch', 200), ('epoch', 250))
    assert base.processes == 8
    assert base.checkpoint.name == 'epoch_200.pth'
    assert make_config(base).train_cfg.max_epochs == 200
    short = plan_of(tmp_path, 'mind_your_augmentation/table_4', 'paper', iters=10)
    with pytest.raises(ValueError, match='counts epochs'):
        make_config(Run(plan=short, name='iBOT', seed=0))


def test_on_photos_runs_are_bf16_and_partners_measured_at_their_end(tmp_path):
    plan = plan_of(tmp_path, 'mind_your_augmentation/table_10', 'photos')
    runs = [Run(plan=plan, name=name, seed=11) for name in ('DenseCL', '+DC_Ran')]
    assert [run.shares for run in runs] == [(0.0, 0.4, 1.0), (1.0,)]
    for run in runs:
        wrapper = make_config(run).optim_wrapper
        assert (wrapper.type, wrapper.dtype) == ('AmpPerParamClipOptimWrapper', 'bfloat16')
        assert run.length == ('iter', 100)
        assert run.row.continues
        assert make_config(run).model.init == 'mobilenet_v2_imagenet.pth'
    elsewhere = plan_of(tmp_path, 'mind_your_augmentation/table_10', 'photos-gpu')
    run = Run(plan=elsewhere, name='+DC_Ran', seed=11)
    assert run.shares == (0.0, 0.2, 0.4, 0.7, 1.0)
    assert not run.row.continues
    assert not make_config(run).optim_wrapper.get('type', '').startswith('Amp')


def test_post_training_is_chosen_on_one_half_and_judged_on_the_other(tmp_path):
    asked = {}
    for scale in ('search', 'judge'):
        plan = plan_of(tmp_path, 'photos/post_training', scale)
        for name in plan.rows:
            run = Run(plan=plan, name=name, seed=1)
            config = make_config(run)
            parts = config.object_knn_dataloader.dataset.datasets
            assert parts.query.part == parts.query_disturbed.part
            assert 'part' not in parts.bank
            asked.setdefault(name, []).append(tuple(parts.query.part))
            assert run.shares == (1.0,)
            assert bool(config.model.get('decoupling')) == (run.row.role == 'decoupled')
    assert set(map(tuple, asked.values())) == {((1, 2), (2, 2))}
    assert len(asked) == 8  # those that are optional are not asked for


@pytest.mark.parametrize(
    ('name', 'processes', 'own'),
    [('8xb2-90k', 16, 1), ('8xb2-90k', 8, 2), ('8xb2-90k', 2, 8), ('1xb2-300i', 1, 2), ('', 2, 1)],
)
def test_a_step_has_the_images_that_its_rate_is_made_for(name, processes, own):
    config = Config(dict(train_dataloader=dict(batch_size=2)))
    share_batch(config, f'net_{name}_coco.py', processes)
    assert config.train_dataloader.batch_size == own


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    plan = plan_of(tmp_path, 'mind_your_augmentation/table_4', 'paper', processes=3)
    with pytest.raises(ValueError, match='a batch of 512 images does not divide among 3 processes'):
        make_config(Run(plan=plan, name='iBOT', seed=0))
    plan = plan_of(tmp_path, 'mind_your_augmentation/table_4', 'paper', processes=16)
    assert make_config(Run(plan=plan, name='iBOT', seed=0)).train_dataloader.batch_size == 32
    # The batch of a scale likewise, which was that of each process.
    plan = plan_of(tmp_path, 'mind_your_augmentation/table_10', 'smoke', processes=4)
    assert make_config(Run(plan=plan, name='DenseCL', seed=0)).train_dataloader.batch_size == 2
