"""``mmdssl test`` with the measures of patches: outlines, label maps, photos' own sizes."""

import json
from pathlib import Path

import pytest

from mmdssl.cli import test as tool
from tests.cli.test_analyze_networks import VIT
from tests.conftest import ROOT
from tests.tiny_scenes import write_tiny_scenes

BASES = ROOT / 'configs' / '_base_' / 'datasets'
FILES = 'ann_file="annotations/instances_val.json", data_prefix="val"'
MAPS = """
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='SemanticFolder',
        classes=20,
        img_suffix='.jpg',
        data_root={root!r},
        data_prefix=dict(img_path='val', seg_map_path='semantic/val'),
        pipeline=[
            dict(type='LoadImage'),
            dict(type='LoadSemanticMap'),
            dict(type='InstanceMap'),
            dict(type='ResizeWithMap', size=64),
            dict(type='PackSemantic'),
        ],
    )
)
"""


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scenes(tmp_path_factory.mktemp('scenes'), images=1, val_images=6)


def measured(folder: Path, base: str, data: str) -> dict[str, float]:
    config = folder / 'own.py'
    host = dict(type='FeatureExtractor', backbone=VIT)
    loader = 'test_dataloader = dict(num_workers=0, batch_size=1)\n'
    config.write_text(
        f"_base_ = '{BASES / base}'\ndefault_scope = 'mmdssl'\nmodel = {host}\n{loader}{data}"
    )
    out = folder / 'numbers.json'
    assert tool.main([str(config), '--work-dir', str(folder), '--out', str(out)]) == 0
    return json.loads(out.read_text())


def test_affinity_and_artefacts_of_outlines(scenes, tmp_path):
    data = f'test_dataloader["dataset"] = dict(data_root={str(scenes)!r}, {FILES})\n'
    numbers = measured(tmp_path, 'coco_affinity.py', data)
    for place in ('last', 'prenorm'):
        low, value, high = (numbers[f'affinity/{place}/auc{end}'] for end in ('_low', '', '_high'))
        assert 0 < low <= value <= high < 1
    assert numbers['affinity/last/images'] == numbers['artefacts/images'] == 6
    assert numbers['artefacts/prefix0_norm'] > 0
    assert -1 <= numbers['artefacts/neighbour_cosine_others'] <= 1


def test_affinity_of_label_maps(scenes, tmp_path):
    numbers = measured(tmp_path, 'coco_affinity.py', MAPS.format(root=str(scenes)))
    assert numbers['affinity/last/objects'] > 6
    assert 0 < numbers['affinity/last/auc'] < 1


def test_discovery_at_the_own_size_of_photos(scenes, tmp_path):
    data = f'test_dataloader["dataset"] = dict(data_root={str(scenes)!r}, {FILES})\n'
    numbers = measured(tmp_path, 'coco_discovery.py', data)
    for method in ('lost', 'tokencut', 'tokencut_weighted'):
        assert numbers[f'discovery/{method}/images'] == 6
        assert 0 <= numbers[f'discovery/{method}/corloc'] <= 100
        assert numbers[f'discovery/{method}/corloc_low'] <= numbers[f'discovery/{method}/corloc']


def test_settings_of_the_extractor_that_do_not_fit_are_named(scenes, tmp_path, capsys):
    dataset = f'test_dataloader["dataset"] = dict(data_root={str(scenes)!r}, {FILES})\n'
    with pytest.raises(ValueError, match="reads the tokens 'keys', and the extractor gives last"):
        measured(tmp_path, 'coco_discovery.py', f'extractor = dict(tokens=["last"])\n{dataset}')
    with pytest.raises(AssertionError):
        measured(tmp_path, 'coco_discovery.py', f'extractor = dict(token=["last"])\n{dataset}')
    error = capsys.readouterr().err
    assert 'extractor of the config' in error
    assert "unexpected keyword argument 'token'" in error
