"""Fig. 2b of "Mind Your Augmentation" (ICLR 2024, Sec. 3.1): coupling between objects, ViTs.

    mmdssl study mind_your_augmentation/figure_2b --scale paper --seeds 0

The runs of Table 2, 800 epochs of COCO: with one ``--out`` none is trained twice. More and more
patches of A are missing beside B. The paper prints neither values nor which networks it shows; its
image-level ones are no methods of this package.
"""

from pathlib import Path

from mmdssl.studies import Published, Study, load_study

VIT = load_study(Path(__file__).with_name('table_2.py'))
SHARES = (0.2, 0.4, 0.6, 0.8)

study = Study(
    title='Fig. 2b: coupling between objects, vision transformers',
    rows=VIT.rows,
    axis='share of A that is missing',
    published=[
        Published(
            title='Fig. 2b',
            columns={f'cr_inter/last@{share}/mean': f'CR at {share}' for share in SHARES},
            rows={row.name: (None,) * len(SHARES) for row in VIT.rows},
            says='coupling rises with the share of A that is missing, and tends to 1 for '
            'image-level methods',
        )
    ],
)
