"""Over-clustering during training: the chosen backbone is measured, and the run is as without."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmdssl.registry import DATASETS, METRICS
from tests.coco_files import knn_loader, write_coco
from tests.datasets.semantic_files import folder, write_semantic
from tests.engine.hooks.test_object_knn_hook import KNNToyHost

PIPELINE = [
    dict(type='LoadImage'),
    dict(type='LoadSemanticMap'),
    dict(type='ResizeWithMap', size=32, map_size=20),
    dict(type='PackSemantic'),
]
EVALUATOR = dict(type='OverClustering', num_clusters=8, restarts=1, seeds=(0,))


def run(root: Path, name: str, hooks: list[dict], **changes) -> Runner:
    training = knn_loader(root)
    training['dataset']['datasets'] = dict(train=training['dataset']['datasets']['bank'])
    config = dict(
        default_scope='mmdssl',
        model=dict(type='KNNToyHost'),
        work_dir=str(root / name),
        experiment_name=f'{root}/{name}',
        train_dataloader=training,
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=hooks,
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1)),
        overclustering_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
            dataset=folder(root / 'semantic', pipeline=PIPELINE),
        ),
        overclustering_evaluator=EVALUATOR,
        randomness=dict(seed=0),
        log_level='WARNING',
    )
    runner = Runner.from_cfg(Config({**config, **changes}))
    runner.train()
    return runner


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path, 'train', 8, seed=0)
    write_coco(tmp_path, 'val', 4, seed=1)
    write_semantic(tmp_path / 'semantic', 5)
    return tmp_path


def test_it_measures_the_chosen_backbone_and_leaves_no_trace(root: Path):
    hook = dict(type='OverClusteringHook', initial=True)
    measured, plain = run(root, 'a', [hook]), run(root, 'b', [])
    assert isinstance(measured.model, KNNToyHost)
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(measured.model.state_dict()[name], value, rtol=0, atol=0)
    lines = (root / 'a' / 'overclustering.jsonl').read_text().splitlines()
    assert [json.loads(line)['epoch'] for line in lines] == [0, 1, 2]
    # The last value by hand, without loader, hook or extractor.
    dataset = DATASETS.build(folder(root / 'semantic', pipeline=PIPELINE))
    metric = METRICS.build(EVALUATOR)
    metric.dataset_meta = dataset.metainfo
    teacher = measured.model.get_backbone('teacher').eval()
    for index in range(len(dataset)):
        item = dataset[index]
        images = measured.model.data_preprocessor(dict(inputs=item['inputs'][None]))['inputs']
        with torch.no_grad():
            features = teacher(images)[0]
        labels = item['data_samples'].gt_seg_map
        metric.process(None, [dict(patch_features=features, gt_seg_map=labels)])
    want = metric.evaluate(len(dataset))
    name = 'overclustering/miou_precision'
    # Another batch size rounds otherwise, which may send a patch between two clusters over.
    assert json.loads(lines[-1])[name] == pytest.approx(want[name], abs=2)


def test_in_context_measures_a_bank_and_queries_and_leaves_no_trace(root: Path):
    pipeline = [*PIPELINE[:2], dict(type='ResizeWithMap', size=32), PIPELINE[-1]]
    part = folder(root / 'semantic')
    write_semantic(root / 'asked', 3, seed=1)
    data = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='TaggedConcat',
            pipeline=pipeline,
            datasets=dict(bank=part, query=folder(root / 'asked')),
        ),
    )
    evaluator = [
        dict(type='InContextSegmentation', k=3, memory_size=60),
        dict(type='PatchKNNSegmentation', neighbours=(1, 3), distances=('cosine',)),
    ]
    entries = dict(in_context_dataloader=data, in_context_evaluator=evaluator)
    measured = run(root, 'a', [dict(type='InContextHook')], **entries)
    plain = run(root, 'b', [])
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(measured.model.state_dict()[name], value, rtol=0, atol=0)
    lines = [json.loads(one) for one in (root / 'a' / 'in_context.jsonl').read_text().splitlines()]
    assert [line['epoch'] for line in lines] == [1, 2]
    for line in lines:
        assert line['in_context/num_images'] == line['patch_knn/num_images'] == 3
        assert line['in_context/miou'] > 20
        assert line['in_context/num_memory'] == 60
        assert line['patch_knn/k'] in (1, 3)


def test_a_config_without_data_is_named(root: Path):
    with pytest.raises(
        ValueError, match=r'inherit configs/_base_/datasets/coco_overclustering\.py'
    ):
        run(root, 'c', [dict(type='OverClusteringHook')], overclustering_dataloader=None)
    with pytest.raises(ValueError, match=r'inherit configs/_base_/datasets/photos_in_context\.py'):
        run(root, 'd', [dict(type='InContextHook')])
