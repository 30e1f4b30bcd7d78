"""Tags, shared annotations, and what the pipelines of the parts see."""

import json
from pathlib import Path

import pytest
import torch

from mmdssl.datasets.tagged_concat import TaggedConcat
from mmdssl.registry import DATASETS
from tests.coco_files import knn_loader, part, write_coco


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path, 'train', 5, seed=0)
    write_coco(tmp_path, 'val', 3, seed=1)
    return tmp_path


def build(root: Path, **changes) -> TaggedConcat:
    config = knn_loader(root)['dataset']
    return DATASETS.build({**config, **changes})


def test_samples_carry_their_tag_in_order(root: Path):
    dataset = build(root)
    tags = [dataset[i]['data_samples'].tag for i in range(len(dataset))]
    assert tags == (['bank'] * 5 + ['query'] * 3 + ['bank_disturbed'] * 5 + ['query_disturbed'] * 3)


def test_clean_and_disturbed_parts_hold_the_same_objects_in_other_scenes(root: Path):
    dataset = build(root)
    for i in range(5):
        clean, disturbed = dataset[i], dataset[8 + i]
        for name in ('img_id', 'img_path', 'sample_idx'):
            assert clean['data_samples'].get(name) == disturbed['data_samples'].get(name)
        mine, theirs = (s['data_samples'].gt_instances for s in (clean, disturbed))
        assert torch.equal(mine.bboxes, theirs.bboxes)
        assert torch.equal(mine.labels, theirs.labels)
        assert not torch.equal(clean['inputs'], disturbed['inputs'])


def test_parts_that_differ_in_pipeline_only_share_their_annotations(root: Path):
    dataset = build(root)
    assert dataset.datasets[0] is dataset.datasets[2]
    assert dataset.datasets[1] is dataset.datasets[3]
    assert dataset.datasets[0] is not dataset.datasets[1]


def test_pipelines_see_tag_and_data_set(root: Path):
    dataset = build(root, datasets=dict(one=part('train'), two=part('val')))
    info = dataset.get_data_info(6)
    assert info['tag'] == 'two'
    assert info['dataset'] is dataset.datasets[1]
    assert info['sample_idx'] == 1


def test_metainfo_names_classes_and_tags(root: Path):
    metainfo = build(root).metainfo
    assert metainfo['classes'] == tuple(f'colour {i}' for i in range(4))
    assert metainfo['tags'] == ('bank', 'query', 'bank_disturbed', 'query_disturbed')
    assert tuple(metainfo['sizes']) == metainfo['tags']
    assert sum(metainfo['sizes'].values()) == len(build(root))


def test_different_classes_are_refused(root: Path):
    file = root / 'annotations' / 'instances_val.json'
    content = json.loads(file.read_text())
    content['categories'][0]['name'] = 'another'
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="classes of 'query' differ from those of 'bank'"):
        build(root)


def test_no_part_is_refused():
    with pytest.raises(ValueError, match='at least one part'):
        TaggedConcat(datasets={})


@pytest.mark.parametrize('index', [16, -1])
def test_an_index_outside_is_refused(root: Path, index: int):
    with pytest.raises(IndexError):
        build(root)[index]


def test_an_unreadable_image_is_named(root: Path):
    (root / 'val' / '001.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'val/001\.png'):
        build(root)[6]
