"""Table 12 of "Mind Your Augmentation" (ICLR 2024, App. G.2): number of grids of RCC.

    mmdssl study mind_your_augmentation/table_12 --scale scenes --seeds 0 1 2 --jobs 2

iBOT-D, 200 epochs of COCO: one region in each of N x N cells. Only the masks of the branch change;
those of iBOT itself keep 3 x 3. The row of three is +DC_RCC of Table 4, and with one ``--out`` the
same run; its coupling is 1.15 here and 1.16 there.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Study, load_study, with_config

MASKS = load_study(Path(__file__).with_name('table_4.py'))
rcc = MASKS.row('+DC_RCC')
grid, cut = rcc.masks['dc_mask']
PAPER = 'ablations/ibot-d-{}_vit-small-p16_8xb64-coslr-200e_coco.py'

study = Study(
    title='Table 12: number of grids, iBOT-D',
    measures=MASKS.measures,
    rows=[
        MASKS.row('iBOT'),
        *(
            Row(
                name=f'N_grid {number}',
                role='decoupled',
                base='iBOT',
                settings=with_config(
                    rcc.settings, 'paper', PAPER.format('rcc' if number == 3 else f'grid{number}')
                ),
                masks={'dc_mask': [{**grid, 'grid': number}, cut]},
            )
            for number in (1, 2, 3, 4)
        ),
    ],
    published=[
        Published(
            title='Table 12',
            columns={
                'transfer/coco/bbox_mAP': 'COCO Det.',
                'cr_inter/last/mean': 'CR Inter',
                'cr_intra/last/mean': 'CR Intra',
            },
            rows={
                'N_grid 1': (39.4, 1.42, 0.16),
                'N_grid 2': (41.2, 1.10, 0.08),
                'N_grid 3': (42.0, 1.15, 0.04),
                'N_grid 4': (42.1, 1.14, 0.03),
            },
        )
    ],
)
