"""Fig. 11 of "Mind Your Augmentation" (ICLR 2024, App. D.1): what regions really lose.

    mmdssl study mind_your_augmentation/figure_11 --scale paper --seeds 0 1 2

No network: 500 masks of 224 x 224 for each number of regions, which are ours. Regions have a scale
of 0.2 to 1 and an aspect of 1/2 to 2; 0.4 of each is to be cut. Other readings of Alg. 1 and 2:
``mmdssl analyze cutout-ratio``.
"""

from mmdssl.studies import Published, Row, Setting, Study

REGIONS = (1, 2, 4, 6, 8, 10, 12, 16)
SETTINGS = dict.fromkeys(('paper', 'photos', 'scenes'), Setting(config='', iters=500))
VARIANTS = {'Cutout': 'Cutout, inside', 'RCC': 'RCC, inside, area (default)'}

study = Study(
    title='Fig. 11: what regions really lose',
    measures=(),
    rows=[
        Row(
            name=name,
            role='variant' if name == 'RCC' else 'base',
            base='Cutout' if name == 'RCC' else '',
            settings=SETTINGS,
            statistic=dict(type='cutout_ratio', variant=variant),
        )
        for name, variant in VARIANTS.items()
    ],
    published=[
        Published(
            title='Fig. 11: share that a region loses, of 0.4',
            columns={f'cutout@{number}/percent': f'{number} regions, %' for number in REGIONS},
            rows=dict.fromkeys(VARIANTS, (None,) * len(REGIONS)),
            says='the share that plain cutout cuts grows with the number of regions to much more '
            'than 0.4, that of RCC stays at 0.4',
        )
    ],
)
