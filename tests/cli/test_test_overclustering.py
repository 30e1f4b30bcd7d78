"""``mmdssl test`` on images with label maps: over-clustering of a run's backbone."""

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
