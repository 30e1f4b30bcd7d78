"""Fig. 6b of "Mind Your Augmentation" (ICLR 2024, App. B): coupling between objects, CNNs.

    mmdssl study mind_your_augmentation/figure_6b --scale scenes --seeds 0 1 2 --jobs 2

Runs of Table 1, 800 epochs of COCO: with one ``--out`` none is trained twice. A is scaled down more
and more beside B. The paper prints neither values nor which networks it shows.
"""

from pathlib import Path

from mmdssl.studies import Published, Study, load_study

CNN = load_study(Path(__file__).with_name('table_1.py'))
NAMES = ('MoCo v2', 'DenseCL', 'DenseCL-D', 'SoCo', 'SoCo-D')
SHARES = (0.2, 0.4, 0.6, 0.8)

study = Study(
    title='Fig. 6b: coupling between objects, networks of convolutions',
    rows=[CNN.row(name) for name in NAMES],
    axis='share of the side of A that is missing',
    published=[
        Published(
            title='Fig. 6b',
            columns={f'cr_inter/last@{share}/mean': f'CR at {share}' for share in SHARES},
            rows={name: (None,) * len(SHARES) for name in NAMES},
            says='the same trends as of vision transformers: coupling rises as A fades, and tends '
            'to 1 for image-level methods',
        )
    ],
)
