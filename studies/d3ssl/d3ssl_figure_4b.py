"""Fig. 4b of "De-coupling and De-positioning Dense Self-supervised Learning": position by layer.

    mmdssl study d3ssl/d3ssl_figure_4b --scale scenes --seeds 0 1 2 --jobs 2

MCS, the mean cosine of a picture in the middle of a 3 x 3 grid with its copies around it, at the
four stages of a ResNet. The paper draws curves, without values. The runs are those of Fig. 3b; the
figure, position.png, has the untrained network as well.
"""

import dataclasses
from pathlib import Path

from mmdssl.studies import Figure, Published, load_study

COUPLING = load_study(Path(__file__).with_name('d3ssl_figure_3b.py'))
STAGES = {'layer1': 'C2', 'layer2': 'C3', 'layer3': 'C4', 'last': 'C5'}

study = dataclasses.replace(
    COUPLING,
    title='D3SSL, Fig. 4b: position bias by layer',
    figures=(
        Figure(
            file='position',
            places={name: f'mcs/{stage}/mean' for stage, name in STAGES.items()},
            shows='MCS',
        ),
    ),
    published=[
        Published(
            title='D3SSL, Fig. 4b',
            columns={f'mcs/{stage}/mean': f'MCS {name}' for stage, name in STAGES.items()},
            rows=COUPLING.published[0].rows,
            says='similarity falls with depth, more so with point-level methods; it is close to 1 '
            'in all layers of an untrained network, and highest of the trained ones with D3SSL',
        )
    ],
)
