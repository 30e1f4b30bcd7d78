"""Fig. 3b of "De-coupling and De-positioning Dense Self-supervised Learning": coupling by layer.

    mmdssl study d3ssl/d3ssl_figure_3b --scale scenes --seeds 0 1 2 --jobs 2

The ratio of cosines of objects A and B side by side, with all of A in the picture, at the four
stages of a ResNet (C2 to C5). The paper draws curves, without values, of checkpoints of the
methods' authors. These are the runs of Table 1, and the point-level baseline of Sec. 3
(configs/pointlevel). The row of the untrained network stands in tables.csv.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Setting, Study, load_study

TABLE = load_study(Path(__file__).with_name('d3ssl_table_1.py'))
POINT = Row(
    name='point-level',
    settings={
        'paper': Setting(config='pointlevel/pointlevel_resnet50_8xb32-coslr-800e_coco.py'),
        'scenes': Setting(config='scenes/pointlevel_r18w32-128px_1xb32-250i_scenes.py'),
    },
)
ORDER = 'MoCo v2', 'point-level', 'DenseCL', 'ReSim', 'PLRC', 'SoCo', 'D3SSL'
STAGES = {'layer1': 'C2', 'layer2': 'C3', 'layer3': 'C4', 'last': 'C5'}

study = Study(
    title='D3SSL, Fig. 3b: coupling by layer',
    measures=('layers', 'cost'),
    rows=[POINT if name == POINT.name else TABLE.row(name) for name in ORDER],
    published=[
        Published(
            title='D3SSL, Fig. 3b',
            columns={
                f'cr_inter_cosine/{stage}@0/mean': f'CR {name}' for stage, name in STAGES.items()
            },
            rows=dict.fromkeys(ORDER, (None,) * len(STAGES)),
            says='coupling rises with depth, point-level methods (point-level, DenseCL, PLRC) '
            'suffer more than region-level ones (SoCo, D3SSL)',
        )
    ],
)
