"""Fig. 7 of "Mind Your Augmentation" (ICLR 2024, App. B): coupling within objects.

    mmdssl study mind_your_augmentation/figure_7 --scale paper --seeds 0

SoCo and MaskAlign, the runs of Table 3, 800 epochs of COCO: with one ``--out`` none is trained
twice. The paper draws histograms, without values; ``mmdssl analyze coupling`` draws them of the
checkpoints of the runs, host by host.
"""

from pathlib import Path

from mmdssl.studies import Published, Study, load_study

RUNS = load_study(Path(__file__).with_name('table_3.py'))
NAMES = ('SoCo', 'SoCo-D', 'MaskAlign', 'MaskAlign-D')

study = Study(
    title='Fig. 7: coupling within objects, SoCo and MaskAlign',
    rows=[RUNS.row(name) for name in NAMES],
    published=[
        Published(
            title='Fig. 7',
            columns={
                'cr_intra/last/mean': 'CR within, mean',
                'cr_intra/last/median': 'median',
            },
            rows=dict.fromkeys(NAMES, (None, None)),
        )
    ],
)
