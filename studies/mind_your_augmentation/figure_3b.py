"""Fig. 3b of "Mind Your Augmentation" (ICLR 2024, Sec. 3.2): coupling within objects.

    mmdssl study mind_your_augmentation/figure_3b --scale paper --seeds 0

DenseCL and iBOT, the runs of Table 3, 800 epochs of COCO: with one ``--out`` none is trained
twice. The paper draws histograms, without values; ``mmdssl analyze coupling`` draws them of the
checkpoints of the runs, host by host.
"""

from pathlib import Path

from mmdssl.studies import Published, Study, load_study

RUNS = load_study(Path(__file__).with_name('table_3.py'))
NAMES = ('DenseCL', 'DenseCL-D', 'iBOT', 'iBOT-D')

study = Study(
    title='Fig. 3b: coupling within objects, DenseCL and iBOT',
    rows=[RUNS.row(name) for name in NAMES],
    published=[
        Published(
            title='Fig. 3b',
            columns={
                'cr_intra/last/mean': 'CR within, mean',
                'cr_intra/last/median': 'median',
            },
            rows=dict.fromkeys(NAMES, (None, None)),
            says='the mean clearly decreases with the branch',
        )
    ],
)
