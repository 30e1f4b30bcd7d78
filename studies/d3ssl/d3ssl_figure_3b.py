"""Fig. 3b of "De-coupling and De-positioning Dense Self-supervised Learning": coupling by layer.

    mmdssl study d3ssl/d3ssl_figure_3b --scale scenes --seeds 0 1 2 --jobs 2

The ratio of cosines of objects A and B side by side, with all of A in the picture, at the four
stages of a ResNet (C2 to C5). The paper draws curves, without values, of checkpoints of the
methods' authors. These are the runs of Table 1, and the point-level baseline of Sec. 3
(configs/pointlevel). The figure, coupling.png, has the untrained network as well.
coupling_masked.png is the measure of "Mind Your Augmentation" (ICLR 2024), whose mean is over A
whole and with parts missing.
"""

import dataclasses
from pathlib import Path

from mmdssl.studies import Figure, Published, Row, Setting, Study, load_study

TABLE = load_study(Path(__file__).with_name('d3ssl_table_1.py'))
POINT = Row(
    name='point-level',
    settings={
        'paper': Setting(config='pointlevel/pointlevel_resnet50_8xb32-coslr-800e_coco.py'),
        'scenes': Setting(config='scenes/pointlevel_r18w32-128px_1xb32-250i_scenes.py'),
    },
)
PHOTOS = {
    'MoCo v2': Setting(config='photos/mocov2_r18w32-64px_1xb64-3200i_photos.py', iters=800),
    'point-level': Setting(config='photos/pointlevel_r18w32-64px_1xb64-3200i_photos.py', iters=800),
    'DenseCL': Setting(config='photos/densecl_r18w32-64px_1xb64-3200i_photos.py', iters=800),
    'ReSim': Setting(config='photos/resim_r18w32-96px_1xb64-600i_photos.py', iters=300),
    'SoCo': Setting(config='photos/soco_r18w32-96px_1xb64-600i_photos.py', iters=300),
    'D3SSL': Setting(config='photos/d3ssl_r18w32-96px_1xb32-400i_photos.py'),
}
ORDER = 'MoCo v2', 'point-level', 'DenseCL', 'ReSim', 'PLRC', 'SoCo', 'D3SSL'
STAGES = {'layer1': 'C2', 'layer2': 'C3', 'layer3': 'C4', 'last': 'C5'}


def row(name: str) -> Row:
    """That of Table 1, or the one it lacks, with what it is on photos."""
    found = POINT if name == POINT.name else TABLE.row(name)
    on_photos = {'photos': PHOTOS[name]} if name in PHOTOS else {}
    return dataclasses.replace(found, settings={**found.settings, **on_photos})


study = Study(
    title='D3SSL, Fig. 3b: coupling by layer',
    measures=('layers', 'cost'),
    axis='stage of the ResNet',
    figures=(
        Figure(
            file='coupling',
            places={name: f'cr_inter_cosine/{stage}@0/mean' for stage, name in STAGES.items()},
            shows='CR between objects, ratio of cosines',
        ),
        Figure(
            file='coupling_masked',
            places={name: f'cr_inter/{stage}/mean' for stage, name in STAGES.items()},
            shows='CR between objects, ratio of angles',
        ),
    ),
    rows=[row(name) for name in ORDER],
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
