"""Table 5 of "De-coupling and De-positioning Dense Self-supervised Learning": augmentations.

    mmdssl study d3ssl/d3ssl_table_5 --scale scenes --seeds 0 1 2 --jobs 2

D3SSL without the de-positioning loss, 200 epochs of COCO (configs/ablations/d3ssl_table_5). Which
ticks belong to which row is our reading of the table and its prose; random cutout and box jitter
are SoCo's, here on the same views as D3SSL's own. The last row is D3SSL without L_dp as it stands,
and the first of Table 7: with one ``--out`` the same run.
"""

import dataclasses
from pathlib import Path

from mmdssl.studies import Published, Row, Setting, Study, load_study

LOSS = load_study(Path(__file__).with_name('d3ssl_table_7.py')).row('w/o L_dp')
PAPER = 'ablations/d3ssl_table_5/d3ssl-wo-depos-{}_resnet50-c4_8xb32-coslr-200e_coco.py'
SMALL_SIDES = {'photos': 48, 'scenes': 64}  # of x2s, in pixels
NOTHING = dict(type='EmptyMask')
CUTOUT = dict(type='SquareCutout', ratio=(0.1, 0.3), prob=0.5, regions_key='regions')
PRC = dict(type='ProposalRandomCutout', ratio=(0.2, 0.5), regions_key='regions')
JITTER = dict(type='BoxJitter', prob=0.5, ratio=0.1)
RBJ = dict(type='RestrictedBoxJitter', ratio=0.1)
STEPS = {
    'none': ('plain', NOTHING, []),
    'random cutout': ('cutout', CUTOUT, []),
    'PRC': ('prc', PRC, []),
    'PRC, box jitter': ('prc-jitter', PRC, [JITTER]),
    'PRC, RBJ': ('prc-rbj', PRC, [RBJ]),
}


def row(name: str) -> Row:
    """A row with other masks and boxes of x1 and of x2s, while x2 stays plain."""
    variant, mask, boxes = STEPS[name]
    x1 = [dict(mask, key='erase'), *boxes]
    settings = {
        'paper': Setting(config=PAPER.format(variant), transfer=LOSS.settings['paper'].transfer),
    }
    for scale, side in SMALL_SIDES.items():
        x2 = [dict(NOTHING, key='erase'), dict(mask, key='erase_small', mask_size=side), *boxes]
        settings[scale] = dataclasses.replace(
            LOSS.settings[scale],
            options={'train_dataloader.dataset.pipeline.2.finish': [x1, x2]},
        )
    base = '' if name == 'none' else 'none'
    return Row(name=name, role='variant' if base else 'base', base=base, settings=settings)


study = Study(
    title='D3SSL, Table 5: region augmentations',
    measures=('transfer', 'cost'),
    rows=[
        *map(row, STEPS),
        Row(name='PRC, RBJ, PRM', role='variant', base='none', settings=LOSS.settings),
    ],
    published=[
        Published(
            title='D3SSL, Table 5',
            columns={'transfer/pascal_voc/mAP': 'VOC Det. AP'},
            rows={
                'none': (54.5,),
                'random cutout': (54.6,),
                'PRC': (54.9,),
                'PRC, box jitter': (54.9,),
                'PRC, RBJ': (55.2,),
                'PRC, RBJ, PRM': (55.5,),
            },
        )
    ],
)
