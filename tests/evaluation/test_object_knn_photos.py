"""O-KNN on real photos ranks features of known worth: ImageNet's above untrained ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdssl.cli.test import main

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'object_knn' / 'mobilenet-v2_coco-mini.py'


def measure(folder: Path, data_root: Path, *checkpoint: str) -> dict[str, float]:
    out = folder / 'metrics.json'
    options = ['--work-dir', str(folder), '--out', str(out)]
    options += ['--cfg-options', f'data_root={data_root}']
    assert main([str(CONFIG), *checkpoint, *options]) == 0
    return json.loads(out.read_text())


@pytest.mark.slow
def test_trained_features_beat_untrained_ones_and_disturbance_costs_them(
    shared: Callable[[str], Path], tmp_path: Path
):
    data, weights = shared('coco_mini'), shared('weights/mobilenet_v2_imagenet.pth')
    trained = measure(tmp_path / 'trained', data, str(weights))
    untrained = measure(tmp_path / 'untrained', data)
    assert trained['oknn/num_bank'] == untrained['oknn/num_bank'] > 2300
    assert trained['oknn/num_query'] == untrained['oknn/num_query'] > 840
    assert trained['oknn/top1'] >= untrained['oknn/top1'] + 5
    assert trained['oknn/top5'] >= untrained['oknn/top5'] + 5
    assert trained['oknn_d/top1'] < trained['oknn/top1']
    assert trained['oknn_d/top5'] < trained['oknn/top5']
