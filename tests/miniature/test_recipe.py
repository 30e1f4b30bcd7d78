"""Arms of a seed are pairs: what their names do not mention is equal bit by bit."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdssl.datasets.transforms.random_streams import restart_streams
from mmdssl.engine.launch import build_runner
from mmdssl.miniature.arms import ARMS, DEFAULT_ARMS, choose_arms
from mmdssl.miniature.data import make_data
from mmdssl.miniature.plan import Plan, Run
from mmdssl.miniature.recipe import make_config
from mmdssl.miniature.regimes import REGIMES, choose_regime
from mmdssl.miniature.runs import is_done

CONFIGS = Path(__file__).parents[2] / 'configs'


def plan_of(folder: Path, name: str = 'trial', scale: str = 'cpu', **changes) -> Plan:
    regime = choose_regime(name, scale)
    smaller = dict(train_images=40, val_images=12, bank_images=12) if regime.scenes else {}
    return Plan(
        name=name,
        scale=scale,
        regime=dataclasses.replace(regime, **{**smaller, **changes}),
        arms=DEFAULT_ARMS,
        seeds=(11,),
        configs=CONFIGS,
        out=folder / 'out',
        data=folder / 'data',
    )


@pytest.fixture(scope='module')
def plan(tmp_path_factory) -> Plan:
    found = plan_of(tmp_path_factory.mktemp('miniature'))
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
        assert run.teacher.checkpoint.name == 'iter_250.pth'
        weights = start_of(plan, name, tmp_path)[0]
        own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        assert all(torch.equal(value, want[key]) for key, value in own.items())
        assert len(own) > 50


def test_local_crops_of_leopart_keep_their_own_size(tmp_path):
    for name in ('trial', 'shapes'):
        config = make_config(Run(plan=plan_of(tmp_path, name), name='leopart-d', seed=11))
        crops = [view[0] for view in config.train_dataloader.dataset.pipeline[1].pipelines]
        assert [crop['size'] for crop in crops] == [64, 32]
        assert crops[1]['scale'][1] < crops[0]['scale'][1]


@pytest.mark.parametrize(
    ('first', 'second', 'same_masks'),
    [
        ('ibot-rcc', 'ibot-d', True),
        ('ibot', 'ibot-d', False),
        ('densecl', 'densecl-d', True),
        ('soco', 'soco-d', True),
        pytest.param('maskalign', 'maskalign-d', True, marks=pytest.mark.slow),
        ('leopart', 'leopart-d', True),
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


def test_every_arm_names_configs_that_exist():
    for name, arm in ARMS.items():
        for file in (arm.config, arm.photos):
            assert (CONFIGS / file).is_file(), (name, file)


@pytest.mark.parametrize(('name', 'scale'), REGIMES)
def test_every_arm_of_every_regime_has_a_config(tmp_path, name, scale):
    plan = plan_of(tmp_path, name, scale)
    for arm in ('ibot', 'ibot-d') if plan.on_photos else ARMS:
        run = Run(plan=plan, name=arm, seed=11)
        config = make_config(run)
        assert config.train_cfg.max_iters == run.iters
        assert {s.end for s in config.param_scheduler} == {run.iters}
        side = config.model.backbone.get('img_size')
        if side is not None:
            cells = side // config.model.backbone.patch_size
            text = str(config.train_dataloader.dataset.pipeline)
            assert ('mask_size' in text) == (arm.startswith('ibot') or arm.endswith('-d'))
            assert text.count('mask_size') == text.count(f"'mask_size': ({cells}, {cells})")
        roots = {
            probe['dataloader']['dataset']['data_root']
            for probe in config.coupling_diagnostics.values()
        }
        assert roots == {str(plan.data_root(11))}
        assert config.train_dataloader.dataset.data_root.startswith(str(plan.data_root(11)))


def test_controls_change_one_number_each(tmp_path):
    plan = plan_of(tmp_path)
    base, low, long = (
        make_config(Run(plan=plan, name=name, seed=11))
        for name in ('ibot', 'ibot-low-lr', 'ibot-equal-compute')
    )
    assert low.optim_wrapper.optimizer.lr == pytest.approx(0.3 * base.optim_wrapper.optimizer.lr)
    assert long.train_cfg.max_iters == round(1.25 * base.train_cfg.max_iters)
    assert long.train_dataloader.batch_size == base.train_dataloader.batch_size
    assert low.model == long.model == base.model
    assert low.train_dataloader == long.train_dataloader == base.train_dataloader


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


def test_arms_are_named_or_refused():
    assert choose_arms(['soco:all', 'ibot']) == (
        'ibot',
        'soco',
        'soco-rcc',
        'soco-d',
        'soco-low-lr',
        'soco-equal-compute',
    )
    # A teacher comes along.
    assert choose_arms(['leopart-d', 'maskalign']) == ('ibot', 'maskalign', 'leopart-d')
    with pytest.raises(ValueError, match=r"no arm 'ibott': choose from ibot "):
        choose_arms(['ibott'])
    with pytest.raises(ValueError, match='no regime'):
        choose_regime('photos', 'gpu')


def test_warm_up_that_fills_the_run_is_refused(tmp_path):
    plan = plan_of(tmp_path)
    short = dataclasses.replace(plan.regime.training['ibot'], iters=60)
    plan = plan_of(tmp_path, training={'ibot': short})
    with pytest.raises(ValueError, match='warm-up of 60 iterations does not fit a run of 60'):
        make_config(Run(plan=plan, name='ibot', seed=11))
    with pytest.raises(ValueError, match='no settings for soco'):
        make_config(Run(plan=plan, name='soco', seed=11))


def test_settings_survive_json(tmp_path):
    settings = Run(plan=plan_of(tmp_path), name='soco-d', seed=11).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings['scene_seed'] != settings['seed']
    assert np.isfinite(settings['iters'])


def test_settings_of_earlier_studies_stand(tmp_path):
    """A finished run is known by them; a new kind of arm must not make it look like another."""
    plan = dataclasses.replace(plan_of(tmp_path), regime=choose_regime('trial', 'cpu'))

    def digest(name):
        settings = Run(plan=plan, name=name, seed=11).settings()
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    assert (digest('ibot-d'), digest('soco')) == ('2c4458d1d8f4', '20127a04c9c4')
    assert 'teacher' in Run(plan=plan, name='leopart', seed=11).settings()['arm']


def test_a_config_that_a_run_does_not_read_makes_it_no_other_run(tmp_path):
    run = Run(plan=plan_of(tmp_path), name='soco', seed=11)
    run.folder.mkdir(parents=True)
    stored = run.settings()
    assert 'photos' not in stored['arm']
    stored['arm']['photos'] = 'another.py'  # as studies before stored it
    (run.folder / 'settings.json').write_text(json.dumps(stored))
    assert not is_done(run)
    stored['arm']['config'] = 'another.py'
    (run.folder / 'settings.json').write_text(json.dumps(stored))
    with pytest.raises(ValueError, match='other settings \\(other arm\\)'):
        is_done(run)


def test_only_the_study_measures(tmp_path):
    config = make_config(Run(plan=plan_of(tmp_path), name='ibot', seed=11))
    kinds = {hook.type for hook in config.custom_hooks}
    assert 'TeacherUpdateHook' in kinds
    assert not {'ObjectKNNHook', 'CouplingHook'} & kinds
