"""Table 13 of "Mind Your Augmentation" (ICLR 2024, App. G.2): weight of the branch's loss.

    mmdssl study mind_your_augmentation/table_13 --scale scenes --seeds 0 1 2 --jobs 2

iBOT-D, 200 epochs of COCO. The row of 0.3 is +DC_RCC of Table 4, and with one ``--out`` the same
run; its coupling is 1.15 here and 1.16 there.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Study, load_study, with_config

MASKS = load_study(Path(__file__).with_name('table_4.py'))
rcc = MASKS.row('+DC_RCC')
PAPER = 'ablations/ibot-d-{}_vit-small-p16_8xb64-coslr-200e_coco.py'
NAMES = {0.1: 'lambda01', 0.2: 'lambda02', 0.3: 'rcc', 0.4: 'lambda04', 0.6: 'lambda06'}

study = Study(
    title="Table 13: weight of the branch's loss, iBOT-D",
    measures=MASKS.measures,
    rows=[
        MASKS.row('iBOT'),
        *(
            Row(
                name=f'lambda {weight}',
                role='decoupled',
                base='iBOT',
                settings=with_config(rcc.settings, 'paper', PAPER.format(name)),
                masks=rcc.masks,
                options={'model.decoupling.weight': weight},
            )
            for weight, name in NAMES.items()
        ),
    ],
    published=[
        Published(
            title='Table 13',
            columns={
                'transfer/coco/bbox_mAP': 'COCO Det.',
                'cr_inter/last/mean': 'CR Inter',
                'cr_intra/last/mean': 'CR Intra',
            },
            rows={
                'lambda 0.1': (40.5, 1.25, 0.07),
                'lambda 0.2': (41.6, 1.18, 0.03),
                'lambda 0.3': (42.0, 1.15, 0.04),
                'lambda 0.4': (41.2, 1.12, 0.02),
                'lambda 0.6': (38.4, 1.16, 0.02),
            },
        )
    ],
)
