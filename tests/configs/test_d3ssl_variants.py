"""Configs of OpenImage-MINI are those of COCO with other photos, those of Table 5 as ticked."""

from pathlib import Path

import pytest

from mmdssl.engine.config import load_config

CONFIGS = Path(__file__).parents[2] / 'configs'
MINI = sorted((CONFIGS / 'openimages_mini').glob('*.py'))
TABLE_5 = CONFIGS / 'ablations/d3ssl_table_5'
LAST = 'd3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-200e_coco.py'
# On x1 and the small x2, with what SoCo and Sec. 4.1 of the paper give for each.
SQUARE = dict(type='SquareCutout', ratio=(0.1, 0.3), prob=0.5, regions_key='regions')
PRC = dict(type='ProposalRandomCutout', ratio=(0.2, 0.5), regions_key='regions')
JITTER, RBJ = (
    dict(type='BoxJitter', prob=0.5, ratio=0.1),
    dict(type='RestrictedBoxJitter', ratio=0.1),
)
TICKS = {
    'plain': [dict(type='EmptyMask')],
    'cutout': [SQUARE],
    'prc': [PRC],
    'prc-jitter': [PRC, JITTER],
    'prc-rbj': [PRC, RBJ],
}


def leaves(value, place=''):
    """Values by dotted place."""
    if isinstance(value, (dict, list, tuple)) and value:
        named = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for name, one in named for k, v in leaves(one, f'{place}.{name}').items()}
    return {place: value}


def coco_of(path: Path) -> Path:
    return next(CONFIGS.glob(f'*/{path.name.replace("openimages-mini", "coco")}'))


@pytest.mark.parametrize('path', MINI, ids=lambda path: path.name.split('_')[0])
def test_openimages_mini_is_coco_with_other_photos(path):
    config, coco = load_config(path), load_config(coco_of(path))
    own, other = (leaves(c.to_dict()) for c in (config, coco))
    changed = {k for k in own.keys() | other.keys() if own.get(k) != other.get(k)}
    changed = {k for k in changed if not k.startswith('.openimages_mini.')}
    photos = '.train_dataloader.dataset.data_root'
    wanted = {
        '.data_root': 'data/',
        '.labelled_root': 'data/coco/',
        '.data_report': 'data/openimages_mini/train.txt.json',
        photos: 'data/openimages_mini/train/',
    }
    if path.name.startswith(('soco', 'd3ssl')):
        file = '.train_dataloader.dataset.pipeline.1.file'
        wanted[file] = 'data/openimages_mini/proposals/ss_train.npz'
    assert {k: own.get(k) for k in changed} == wanted
    # What is measured on stays COCO, and both move with one option.
    assert config.object_knn_dataloader.dataset.data_root == 'data/coco/'
    moved = leaves(load_config(path, {'data_root': '/my'}).to_dict())
    assert [k for k, v in moved.items() if str(v).startswith('data/')] == []
    assert {k: moved[k] for k in wanted} == {
        k: v.replace('data', '/my', 1) for k, v in wanted.items()
    }


def test_every_row_of_tables_3_and_6_has_a_config():
    stems = [path.name.split('_')[0] for path in MINI]
    assert sorted(stems) == sorted(
        ['mocov2', 'densecl', 'resim', 'soco', 'plrc', 'd3ssl', 'soco', 'soco-d3ssl-aug']
    )


@pytest.mark.parametrize('row', TICKS)
def test_rows_of_table_5_have_its_augmentations_and_nothing_else(row):
    (path,) = TABLE_5.glob(f'd3ssl-wo-depos-{row}_*.py')
    config, last = load_config(path).to_dict(), load_config(CONFIGS / LAST).to_dict()
    x1, x2 = config['train_dataloader']['dataset']['pipeline'][2].pop('finish')
    mask, *boxes = TICKS[row]
    assert x1 == [dict(mask, key='erase'), *boxes]
    keep, small = dict(type='EmptyMask', key='erase'), dict(key='erase_small', mask_size=112)
    assert x2 == [keep, dict(mask, **small), *boxes]
    last['train_dataloader']['dataset']['pipeline'][2].pop('finish')
    own = {k: v for k, v in config.items() if k in last}
    assert own == last


def test_there_are_six_rows_of_table_5():
    assert len(list(TABLE_5.glob('*.py'))) == len(TICKS) == 5
    assert (CONFIGS / LAST).is_file()
