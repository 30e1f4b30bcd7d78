"""D3SSL's studies: rows of scenes as their configs, pairs, layers of a network and counts of data."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmdssl.cli.study import main
from mmdssl.core.shipped import shipped
from mmdssl.datasets.transforms.random_streams import restart_streams
from mmdssl.engine.config import load_config
from mmdssl.studies import load_study
from mmdssl.studies.afterwards import _data
from mmdssl.studies.measuring import read_measurements
from mmdssl.studies.recipe import make_config
from mmdssl.studies.run import Plan, Run


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


def test_layers_and_data_of_a_run_stand_in_the_tables(smoke):
    plan = smoke('d3ssl_figure_3b')
    words = ['--scale', 'smoke', '--seeds', '0', '--rows', 'MoCo v2', '--executor', 'debug']
    words += ['--measures', 'layers', 'data', '--out', str(plan.out)]
    assert main([str(plan.file), *words]) == 0
    folder = plan.out / 'd3ssl_figure_3b-smoke'
    with (folder / 'tables.csv').open() as file:
        lines = [line for line in csv.DictReader(file) if line['kind'] == 'row']
    rows = {
        name: {one['metric']: float(one['mean']) for one in lines if one['name'] == name}
        for name in ('random', 'MoCo v2')
    }
    end = rows['MoCo v2']
    stages = ('layer1', 'layer2', 'layer3', 'last')
    for stage in stages:
        assert end[f'cr_inter_cosine/{stage}@0/mean'] > 0
        assert 0.5 < rows['random'][f'mcs/{stage}/mean'] <= 1
        assert end[f'mcs/{stage}/mean'] != rows['random'][f'mcs/{stage}/mean']
    # What is near the picture tells a place, and a deeper layer sees more of it.
    assert rows['random']['mcs/layer1/mean'] > rows['random']['mcs/last/mean']
    # The last layer is the one that was measured on the way.
    (run,) = (run for run in plan.runs if run.name == 'MoCo v2')
    last = read_measurements(run.folder / 'measurements.jsonl')[-1]
    known = json.loads((run.folder / 'layers.json').read_text())
    for name in ('cr_inter_cosine/last@0/mean', 'cr_inter/last/full_angle_pooled'):
        assert known[name] == pytest.approx(last[name], rel=1e-5)
    labels = json.loads((plan.data_root(0) / 'annotations/instances_train.json').read_text())
    classes = [
        {one['category_id'] for one in labels['annotations'] if one['image_id'] == image['id']}
        for image in labels['images']
    ]
    assert end['data/images'] == len(labels['images']) == 12
    assert end['data/objects_per_image'] == len(labels['annotations']) / 12
    assert end['data/categories'] == len(set.union(*classes))
    assert end['data/categories_per_image'] == sum(map(len, classes)) / 12
    with (folder / 'published.csv').open() as file:
        found = [one for one in csv.DictReader(file) if one['seeds'] == '1']
    assert [one['metric'] for one in found] == [f'cr_inter_cosine/{one}@0/mean' for one in stages]
    assert {one['published'] for one in found} == {''}


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
