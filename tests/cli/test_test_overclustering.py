"""``mmdssl test`` on images with label maps: over-clustering and retrieval, a run's backbone."""

from pathlib import Path

import torch

from tests.cli.test_test import EXTRACTOR, run
from tests.datasets.semantic_files import folder, write_semantic


def test_a_mask_data_set_is_over_clustered(tmp_path: Path):
    write_semantic(tmp_path / 'data', 6, side=8)
    pipeline = [
        dict(type='LoadImage'),
        dict(type='LoadSemanticMap'),
        dict(type='ResizeWithMap', size=32, map_size=16),
        dict(type='PackSemantic'),
    ]
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=folder(tmp_path / 'data', pipeline=pipeline),
    )
    rules = ('precision', 'hungarian')
    evaluator = dict(type='OverClustering', num_clusters=12, match=rules, seeds=(0, 1))
    entries = dict(
        default_scope='mmdssl', model=EXTRACTOR, test_dataloader=loader, test_evaluator=evaluator
    )
    file = tmp_path / 'config.py'
    file.write_text('\n'.join(f'{key} = {value!r}' for key, value in entries.items()))
    torch.manual_seed(0)
    found = run(tmp_path, str(file))
    # Every patch is of one colour, so even an untrained network tells the classes apart.
    assert found['overclustering/miou_precision'] > 90
    assert found['overclustering/miou_hungarian'] < found['overclustering/miou_precision']
    assert found['overclustering/num_classes'] == 4


def test_patches_of_a_bank_label_those_of_queries(tmp_path: Path):
    for seed, side in enumerate(('bank', 'query')):
        write_semantic(tmp_path / 'data' / side, 5, side=8, seed=seed)
    parts = {}
    for tag in ('bank', 'query'):
        prefix = dict(img_path=f'{tag}/img', seg_map_path=f'{tag}/ann')
        parts[tag] = folder(tmp_path, data_prefix=prefix)
        parts[tag].pop('data_root')
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='TaggedConcat',
            pipeline=[
                dict(type='LoadImage'),
                dict(type='LoadSemanticMap'),
                dict(type='ResizeWithMap', size=32),
                dict(type='PackSemantic'),
            ],
            datasets=parts,
        ),
    )
    evaluator = [
        dict(type='InContextSegmentation', k=3, bootstrap=20),
        dict(type='PatchKNNSegmentation', neighbours=(1, 3)),
    ]
    entries = dict(
        default_scope='mmdssl', model=EXTRACTOR, test_dataloader=loader, test_evaluator=evaluator
    )
    file = tmp_path / 'config.py'
    file.write_text('\n'.join(f'{key} = {value!r}' for key, value in entries.items()))
    torch.manual_seed(0)
    found = run(tmp_path, str(file), '--data-root', str(tmp_path / 'data'))
    # Every patch is of one colour, so even an untrained network tells the classes apart.
    assert found['patch_knn/miou'] > 90
    assert found['in_context/accuracy'] > 60
    assert found['in_context/miou_low'] <= found['in_context/miou'] <= found['in_context/miou_high']
