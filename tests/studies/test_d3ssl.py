"""D3SSL's studies: rows of scenes as their configs, pairs, layers of a network, counts of data."""

import dataclasses
import functools
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmdssl.core.shipped import shipped
from mmdssl.datasets.transforms.random_streams import restart_streams
from mmdssl.engine.config import load_config
from mmdssl.registry import MODELS
from mmdssl.studies import load_study
from mmdssl.studies.afterwards import (
    MEASURES,
    START,
    _data,
    _layers,
    _position,
    measure_afterwards,
    numbers_of,
)
from mmdssl.studies.recipe import make_config
from mmdssl.studies.results import family_rows, read_points
from mmdssl.studies.run import Plan, Run
from tests.ranks import found_by_two, join_as_launched


@pytest.mark.parametrize(
    ('study', 'row', 'sizes'),
    [
        ('d3ssl_table_5', 'none', {112: 64}),
        ('d3ssl_table_5', 'random cutout', {112: 64}),
        ('d3ssl_table_5', 'PRC', {112: 64}),
        ('d3ssl_table_5', 'PRC, box jitter', {112: 64}),
        ('d3ssl_table_5', 'PRC, RBJ', {112: 64}),
        ('d3ssl_table_6', 'SoCo+Aug', {}),
    ],
)
def test_rows_of_scenes_have_the_augmentations_of_their_configs(study, row, sizes):
    settings = load_study(f'd3ssl/{study}').row(row).settings
    config = load_config(shipped('configs') / settings['paper'].config)
    finish = config.train_dataloader.dataset.pipeline[2].finish
    (own,) = settings['scenes'].options.values()
    small = [[{k: sizes.get(v, v) for k, v in step.items()} for step in view] for view in finish]
    assert small == own


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('d3ssl_table_2 OpenImage-MINI', 'd3ssl_table_3 D3SSL'),
        ('d3ssl_table_2 COCO', 'd3ssl_table_1 D3SSL'),
        ('d3ssl_table_4 SoCo', 'd3ssl_table_3 SoCo'),
        ('d3ssl_table_5 PRC, RBJ, PRM', 'd3ssl_table_7 w/o L_dp'),
        ('d3ssl_figure_4b DenseCL', 'd3ssl_table_1 DenseCL'),
    ],
)
def test_tables_share_the_runs_that_they_have_in_common(one, other):
    folders = set()
    for study, row in (words.split(' ', 1) for words in (one, other)):
        plan = Plan(file=f'd3ssl/{study}', scale='paper', out=Path('OUT'), seeds=(0,))
        folders.add(Run(plan=plan, name=row, seed=0).folder)
    assert len(folders) == 1


@pytest.fixture(scope='module')
def smoke(tmp_path_factory):
    """A function that gives the plan of a study of a few scenes, which are there."""
    from mmdssl.studies.data import make_data

    out = tmp_path_factory.mktemp('smoke')

    def plan(study):
        found = Plan(file=f'd3ssl/{study}', scale='smoke', out=out, seeds=(0,), measured=())
        make_data(found, progress=False)
        return found

    return plan


def test_what_is_cut_or_moved_leaves_images_and_views_as_they_are(smoke):
    def batches(study, name):
        config = make_config(Run(plan=smoke(study), name=name, seed=0))
        np.random.seed(0)
        torch.manual_seed(0)
        restart_streams()
        loaded = iter(Runner.build_dataloader(config.train_dataloader, seed=0))
        return [next(loaded)['inputs'] for _ in range(2)]

    with DefaultScope.overwrite_default_scope('mmdssl'):
        plain = batches('d3ssl_table_5', 'none')
        rows = [('d3ssl_table_5', 'PRC, box jitter'), ('d3ssl_table_7', 'w/ L_dp')]
        for other in itertools.starmap(batches, rows):
            for one, two in zip(plain, other, strict=True):
                assert all(map(torch.equal, one['views'], two['views']))
                assert all(map(torch.equal, one['box_ids'], two['box_ids']))
                assert not torch.equal(one['erase'][0], two['erase'][0])
                assert not torch.equal(one['boxes'][0], two['boxes'][0])


def test_layers_of_a_network_and_of_the_one_it_starts_from(smoke):
    """One that has learnt nothing is the one that it starts from in every layer; another is not."""
    plan = smoke('d3ssl_figure_3b')
    run = Run(plan=plan, name='MoCo v2', seed=0)
    config = make_config(run)
    torch.manual_seed(run.seed)
    backbone = MODELS.build({**config.model.backbone})
    backbone.init_weights()
    run.folder.mkdir(parents=True)

    def measured():
        state = {f'backbone.{name}': value for name, value in backbone.state_dict().items()}
        torch.save(dict(state_dict=state, meta=dict(evaluated_backbone='student')), run.checkpoint)
        numbers = _layers(run)
        start = {k.removeprefix(START): v for k, v in numbers.items() if k.startswith(START)}
        return {k: v for k, v in numbers.items() if not k.startswith(START)}, start

    end, start = measured()
    assert end == start
    stages = ('layer1', 'layer2', 'layer3', 'last')
    names = [
        f'{what}/mean' for one in stages for what in (f'cr_inter_cosine/{one}@0', f'mcs/{one}')
    ]
    assert set(names) <= end.keys()
    assert end['mcs/last/mean'] == _position(run)['mcs/last/mean']
    backbone.layer3[0].conv1.weight.data *= -1
    changed, again = measured()
    assert again == start
    assert [changed[name] != start[name] for name in names] == [False] * 4 + [True] * 4

    # In the tables each stands with the network that it is of.
    files = {'layers.json': {**changed, **{START + name: value for name, value in start.items()}}}
    files['done.json'] = {}
    for name, content in files.items():
        (run.folder / name).write_text(json.dumps(content))
    lines = [dict(iter=n, share=n / 2, seconds=0) for n in range(3)]
    (run.folder / 'measurements.jsonl').write_text(''.join(json.dumps(x) + '\n' for x in lines))
    points = read_points(dataclasses.replace(plan, names=('MoCo v2',), measured=('layers',)))
    rows = family_rows(plan.study, points, 'MoCo v2')
    assert rows == {'random': {0: start}, 'early': {0: {}}, 'MoCo v2': {0: changed}}


def test_data_of_scenes_are_counted(smoke):
    plan = smoke('d3ssl_table_2')
    numbers = _data(Run(plan=plan, name='COCO', seed=0))
    labels = json.loads((plan.data_root(0) / 'annotations/instances_train.json').read_text())
    classes = [
        {one['category_id'] for one in labels['annotations'] if one['image_id'] == image['id']}
        for image in labels['images']
    ]
    assert numbers == {
        'data/images': 12,
        'data/objects_per_image': len(labels['annotations']) / 12,
        'data/categories': len(set.union(*classes)),
        'data/categories_per_image': sum(map(len, classes)) / 12,
    }


def test_data_of_openimages_mini_are_what_its_choice_says(tmp_path):
    """And coupling, as O-KNN, is measured on the COCO beside it."""
    plan = Plan(file='d3ssl/d3ssl_table_2', scale='paper', out=tmp_path, seeds=(0,), data=tmp_path)
    run = Run(plan=plan, name='OpenImage-MINI', seed=0)
    report = tmp_path / 'openimages_mini/train.txt.json'
    report.parent.mkdir()
    counts = dict(images=3, objects_per_image=2.5, categories=4, categories_per_image=1.5)
    report.write_text(json.dumps({**counts, 'published': {}}))
    assert _data(run) == {f'data/{name}': value for name, value in counts.items()}
    config = make_config(run)
    pairs = config.coupling_diagnostics.inter.dataloader.dataset
    assert pairs.data_root == str(tmp_path / 'coco')
    assert Path(config.object_knn_dataloader.dataset.data_root) == tmp_path / 'coco'


def _measure(rank, rendezvous, out, run, names):
    """In one of two processes: what it has found."""
    join_as_launched(rank, rendezvous)
    found = {name: value for one in names for name, value in MEASURES[one](run).items()}
    measure_afterwards(run)
    torch.save(found, f'{out}{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_measure_what_one_does(smoke, tmp_path):
    """All of them, as their metrics meet; the first one writes."""
    names = ('position', 'layers')
    plan = dataclasses.replace(smoke('d3ssl_figure_4b'), measured=names)
    run = Run(plan=plan, name='DenseCL', seed=0)
    backbone = MODELS.build({**make_config(run).model.backbone})
    run.folder.mkdir(parents=True)
    state = {f'backbone.{name}': value for name, value in backbone.state_dict().items()}
    torch.save(dict(state_dict=state, meta=dict(evaluated_backbone='student')), run.checkpoint)
    alone = {name: value for one in names for name, value in MEASURES[one](run).items()}
    for found in found_by_two(functools.partial(_measure, run=run, names=names), tmp_path):
        assert found == pytest.approx(alone, rel=1e-5)
    assert numbers_of(run) == pytest.approx(alone, rel=1e-5)
