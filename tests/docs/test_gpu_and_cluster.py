"""The table of hours is what measured rows and the assumptions of a rehearsal give."""

import csv
import re

import pytest
from mmengine.registry import init_default_scope

from mmdssl.engine.config import load_config
from mmdssl.engine.scaling import hours_on
from mmdssl.registry import MODELS
from tests.conftest import ROOT
from tests.docs.page import load

CONFIGS = {
    'iBOT ViT-S/16': 'ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py',
    'DenseCL R50': 'densecl/densecl_resnet50_8xb32-coslr-800e_coco.py',
    'SoCo R50-C4': 'soco/soco_resnet50-c4_16xb64-coslr-800e_coco.py',
}


def test_hours_follow_from_the_measured_steps():
    (file,) = (ROOT / 'tools/benchmarks/results').glob('gpu_*h100*.csv')
    with file.open() as lines:
        measured = {
            row['name'].removeprefix('step '): float(row['value'])
            for row in csv.DictReader(lines)
            if row['benchmark'] == 'gpu steps' and row['unit'] == 'images/s'
        }
    number = r'([\d.,]+)'
    rows = re.findall(
        rf'^\| (.*?) \| {number}(?: images/s)? at (\d+) \| {number} \| {number} \| {number} \|$',
        load('gpu_and_cluster.md'),
        re.M,
    )
    assert len(rows) == 5
    init_default_scope('mmdssl')
    images = 0
    for name, rate, batch, *hours in rows:
        if 'COCO' in name:
            images = 118_287 * 800
        elif '10 million' in name:
            images = 10_000_000 * 100
        host = name.rpartition(': ')[2]
        seen = measured[f'{host}, batch {batch}']
        assert round(seen) == float(rate.replace(',', ''))
        model = MODELS.build(load_config(ROOT / 'configs' / CONFIGS[host]).model)
        trained = 4 * sum(one.numel() for one in model.parameters() if one.requires_grad)
        for processes, said in zip((1, 8, 64), hours, strict=True):
            found = hours_on(
                processes,
                images=images,
                batch=int(batch),
                seconds=int(batch) / seen,
                gradient_bytes=trained,
            )
            assert float(said) == pytest.approx(found, abs=0.06)
