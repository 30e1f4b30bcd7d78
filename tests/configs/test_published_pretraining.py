"""Every published pre-training config against the table of what was published, by value."""

import re
from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from mmdssl.engine.config import load_config
from tests.configs import published_runs as runs
from tests.configs.published_ablations import ABLATIONS
from tests.configs.stated import differences, filled, unseeded

CONFIGS = Path(__file__).parents[2] / 'configs'
METHODS = (
    'ablations',
    'ibot',
    'densecl',
    'pointlevel',
    'pixpro',
    'byol',
    'resim',
    'soco',
    'maskalign',
    'leopart',
    'd3ssl',
    'slotcon',
    'neco',
    'plrc',
    'selfemd',
)

PUBLISHED = {
    'ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py': runs.IBOT_BLOCK,
    'ibot/ibot_vit-small-p16_8xb64-coslr-900e_coco.py': runs.lasting(runs.IBOT_BLOCK, 900),
    'ibot/ibot-rcc_vit-small-p16_8xb64-coslr-800e_coco.py': runs.IBOT_RCC,
    'ibot/ibot-mc_vit-small-p16_8xb64-coslr-800e_coco.py': runs.IBOT_MC,
    'ibot/ibot-d_vit-small-p16_8xb64-coslr-800e_coco.py': runs.IBOT_D,
    'densecl/mocov2_resnet50_8xb32-coslr-800e_coco.py': runs.MOCOV2,
    'densecl/mocov2_resnet50_8xb32-coslr-200e_coco.py': runs.lasting(runs.MOCOV2, 200),
    'densecl/densecl_resnet50_8xb32-coslr-800e_coco.py': runs.DENSECL,
    'densecl/densecl_resnet50_8xb32-coslr-200e_coco.py': runs.lasting(runs.DENSECL, 200),
    'densecl/densecl-d_resnet50_8xb32-coslr-800e_coco.py': runs.DENSECL_D,
    'densecl/densecl-d_resnet50_8xb32-coslr-200e_coco.py': runs.lasting(runs.DENSECL_D, 200),
    'pointlevel/pointlevel_resnet50_8xb32-coslr-800e_coco.py': runs.POINT,
    'pointlevel/pointlevel-d_resnet50_8xb32-coslr-800e_coco.py': runs.POINT_D,
    'pixpro/pixpro_resnet50_8xb64-coslr-800e_coco.py': runs.PIXPRO,
    'pixpro/pixpro-d_resnet50_8xb64-coslr-800e_coco.py': runs.PIXPRO_D,
    'byol/byol_resnet50_8xb64-coslr-800e_coco.py': runs.BYOL,
    'byol/byol-d_resnet50_8xb64-coslr-800e_coco.py': runs.BYOL_D,
    'resim/resim_resnet50_8xb32-coslr-800e_coco.py': runs.RESIM,
    'resim/resim-d_resnet50_8xb32-coslr-800e_coco.py': runs.RESIM_D,
    'resim/resim-c4_resnet50_8xb32-coslr-800e_coco.py': runs.RESIM_C4,
    'resim/resim-d-c4_resnet50_8xb32-coslr-800e_coco.py': runs.RESIM_D_C4,
    'soco/soco_resnet50-c4_16xb64-coslr-800e_coco.py': runs.SOCO,
    'soco/soco_resnet50-c4_16xb64-coslr-200e_coco.py': runs.lasting(runs.SOCO, 200),
    'soco/soco-d_resnet50-c4_16xb64-coslr-800e_coco.py': runs.SOCO_D,
    'soco/soco-d_resnet50-c4_16xb64-coslr-200e_coco.py': runs.lasting(runs.SOCO_D, 200),
    'soco/soco-rcc_resnet50-c4_16xb64-coslr-800e_coco.py': runs.SOCO_RCC,
    'soco/soco-rcc_resnet50-c4_16xb64-coslr-200e_coco.py': runs.lasting(runs.SOCO_RCC, 200),
    'soco/soco-d3ssl-aug_resnet50-c4_16xb64-coslr-200e_coco.py': runs.lasting(runs.SOCO_AUG, 200),
    'd3ssl/d3ssl_resnet50-c4_8xb32-coslr-800e_coco.py': runs.D3SSL,
    'd3ssl/d3ssl_resnet50-c4_8xb32-coslr-200e_coco.py': runs.lasting(runs.D3SSL, 200),
    'd3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-800e_coco.py': runs.D3SSL_ALONE,
    'd3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-200e_coco.py': runs.lasting(
        runs.D3SSL_ALONE, 200
    ),
    'maskalign/maskalign_vit-small-p16_8xb128-coslr-800e_coco.py': runs.MASKALIGN,
    'maskalign/maskalign-d_vit-small-p16_8xb128-coslr-800e_coco.py': runs.MASKALIGN_D,
    'maskalign/maskalign-dino_vit-small-p16_8xb128-coslr-800e_coco.py': runs.from_dino(
        runs.MASKALIGN
    ),
    'maskalign/maskalign-d-dino_vit-small-p16_8xb128-coslr-800e_coco.py': runs.from_dino(
        runs.MASKALIGN_D
    ),
    'leopart/leopart_vit-small-p16_2xb32-coslr-50e_coco.py': runs.LEOPART_50,
    'leopart/leopart-d_vit-small-p16_2xb32-coslr-50e_coco.py': runs.LEOPART_D,
    'neco/neco_vit-small-p14-reg_1xb64-coslr-25e_coco.py': runs.NECO,
    'neco/neco-d_vit-small-p14-reg_1xb64-coslr-25e_coco.py': runs.NECO_D,
    'plrc/plrc_resnet50_8xb32-coslr-800e_coco.py': runs.PLRC,
    'plrc/plrc-d_resnet50_8xb32-coslr-800e_coco.py': runs.PLRC_D,
    'selfemd/selfemd_resnet50_8xb64-coslr-800e_coco.py': runs.SELFEMD,
    'selfemd/selfemd-d_resnet50_8xb64-coslr-800e_coco.py': runs.SELFEMD_D,
    'slotcon/slotcon_resnet50_8xb64-coslr-800e_coco.py': runs.SLOTCON,
    'slotcon/slotcon-d_resnet50_8xb64-coslr-800e_coco.py': runs.SLOTCON_D,
    **{f'ablations/{name}': table for name, table in ABLATIONS.items()},
}


def test_the_table_holds_every_published_config():
    found = {
        path.relative_to(CONFIGS).as_posix()
        for method in METHODS
        for path in (CONFIGS / method).glob('*_coco.py')
    }
    assert found == set(PUBLISHED)


@pytest.mark.parametrize('path', PUBLISHED)
def test_config_says_what_was_published(path):
    init_default_scope('mmdssl')
    config = load_config(CONFIGS / path)
    wanted = dict(PUBLISHED[path])
    gpus = wanted.pop('gpus')
    # a branch where one is published, and none elsewhere
    wanted['model'] = {'decoupling': None, **wanted['model']}
    found = filled(config.to_dict())
    assert differences(wanted, found) == []
    assert unseeded(config) == []
    hooks = [hook['type'] for hook in config.custom_hooks]
    assert {'TeacherUpdateHook', 'RandomStateHook', 'ObjectKNNHook'} <= set(hooks)
    stated = re.search(r'(\d+)xb(\d+)', path)
    assert stated.groups() == (str(gpus), str(config.train_dataloader.batch_size))


def test_object_knn_is_as_published():
    """Three random objects of every image of train2017 answer for those of val2017, k = 20."""
    init_default_scope('mmdssl')
    config = load_config(CONFIGS / '_base_/datasets/coco_object_knn.py')

    def objects(split: str, *disturbed: dict) -> dict:
        return dict(
            type='CocoObjects',
            ann_file=f'annotations/instances_{split}2017.json',
            data_prefix=f'{split}2017/',
            pipeline=[*disturbed, dict(type='PackObjects')],
        )

    other = dict(type='DisturbBackground')
    chosen = dict(type='SelectObjects', num=3, num_by_tag=dict(query=None), select='random', seed=0)
    wanted = dict(
        object_knn_dataloader=dict(
            sampler=dict(shuffle=False),
            dataset=dict(
                pipeline=[dict(type='LoadImage'), chosen, dict(type='ResizeWithBoxes', size=224)],
                datasets=dict(
                    bank=objects('train'),
                    query=objects('val'),
                    bank_disturbed=objects('train', other),
                    query_disturbed=objects('val', other),
                ),
            ),
        ),
        object_knn_evaluator=[
            dict(type='ObjectKNN', k=20, vote='weighted', temperature=0.07, **metric)
            for metric in (
                dict(prefix='oknn', bank='bank', query='query'),
                dict(prefix='oknn_d', bank='bank_disturbed', query='query_disturbed'),
                dict(prefix='oknn_clean_bank', bank='bank', query='query_disturbed'),
            )
        ],
    )
    assert differences(wanted, filled(config.to_dict())) == []
