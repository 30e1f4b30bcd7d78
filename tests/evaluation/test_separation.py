"""Queries that lie in the bank: the same file is an error, the same content a warning."""

import json
import os
import shutil

import pytest

from mmdssl.datasets.tagged_concat import TaggedConcat
from mmdssl.evaluation import InContextSegmentation, separation
from mmdssl.evaluation.object_knn import ObjectKNN
from mmdssl.evaluation.separation import check_separate
from tests.coco_files import part, write_coco
from tests.commands import run_command

METRICS = [ObjectKNN(), ObjectKNN(query='other', prefix='o'), object()]


@pytest.fixture
def root(tmp_path):
    write_coco(tmp_path, 'train', 5, seed=0)
    write_coco(tmp_path, 'val', 4, seed=1)
    return tmp_path


def data(root, query='val'):
    return TaggedConcat(
        datasets=dict(bank=part('train'), query=part(query), other=part('val')),
        data_root=str(root),
    )


@pytest.fixture
def warned(monkeypatch):
    lines = []
    monkeypatch.setattr(separation, 'print_log', lambda text, *_: lines.append(text))
    return lines


def test_separate_parts_pass(root, warned):
    check_separate(data(root), METRICS)
    check_separate([1, 2], METRICS)
    assert not warned


def test_one_file_for_both_sides_is_an_error(root):
    with pytest.raises(ValueError, match='5 of 5 query images lie in the bank'):
        check_separate(data(root, 'train'), METRICS)


def test_every_part_that_labels_patches_is_compared(root):
    metric = InContextSegmentation(bank=('bank', 'again'))
    check_separate(data(root), [metric])  # there is no part 'again'
    parts = dict(bank=part('train'), again=part('val'), query=part('val'))
    with pytest.raises(ValueError, match=r"4 of 4 query images .*bank 'again' and queries 'query'"):
        check_separate(TaggedConcat(datasets=parts, data_root=str(root)), [metric])


@pytest.mark.parametrize('link', [os.symlink, os.link])
def test_links_are_seen_through(root, link):
    (root / 'val' / '002.png').unlink()
    link(root / 'train' / '004.png', root / 'val' / '002.png')
    with pytest.raises(ValueError, match=r'1 of 4 query images.*002\.png'):
        check_separate(data(root), METRICS)


def test_the_same_photo_under_another_name_is_a_warning(root, warned):
    shutil.copy(root / 'train' / '004.png', root / 'val' / '002.png')
    check_separate(data(root), METRICS)
    # Both metrics read the same parts: it is said once for each pair.
    assert len(warned) == 1
    assert '1 of 4 query images have the content' in warned[0]
    assert '002.png is ' in warned[0]
    assert '004.png' in warned[0]


def test_the_command_refuses_it(root, capsys):
    vit = dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=48)
    parts = dict(bank=part('train'), query=part('train'))
    steps = [
        dict(type='LoadImage'),
        dict(type='SelectObjects', num=3),
        dict(type='ResizeWithBoxes', size=32),
    ]
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='TaggedConcat', data_root=str(root), pipeline=steps, datasets=parts),
    )
    entries = dict(
        model=dict(
            type='FeatureExtractor',
            backbone=dict(type='DenseViT', arch=vit, img_size=32, patch_size=8),
        ),
        test_dataloader=loader,
        test_evaluator=[dict(type='ObjectKNN')],
        test_cfg={},
        default_scope='mmdssl',
    )
    config = root / 'config.py'
    config.write_text('\n'.join(f'{key} = {value!r}' for key, value in entries.items()))
    assert run_command('test', config, '--work-dir', root / 'out') == 2
    assert '5 of 5 query images lie in the bank' in capsys.readouterr().err
    assert json.loads((root / 'annotations/instances_train.json').read_text())
