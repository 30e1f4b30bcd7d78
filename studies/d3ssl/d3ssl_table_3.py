"""Table 3 of "De-coupling and De-positioning Dense Self-supervised Learning": OpenImage-MINI.

    mmdssl study d3ssl/d3ssl_table_3 --scale paper --executor slurm --set slurm_partition=gpu

ResNet-50, 800 epochs of OpenImage-MINI with the settings of COCO, judged as Table 1. The photos are
chosen by ``mmdssl openimages``, by the paper's rule and not by its list, which is not public
(configs/openimages_mini). The paper trained by the official codes: ReSim is its FPN form
therefore; of PLRC's slips see configs/plrc. At ``scenes`` the rows are those of Table 1.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Setting, Study, load_study

COCO = load_study(Path(__file__).with_name('d3ssl_table_1.py'))
STEMS = {
    'MoCo v2': 'mocov2_resnet50_8xb32',
    'DenseCL': 'densecl_resnet50_8xb32',
    'ReSim': 'resim_resnet50_8xb32',
    'SoCo': 'soco_resnet50-c4_16xb64',
    'PLRC': 'plrc_resnet50_8xb32',
    'D3SSL': 'd3ssl_resnet50-c4_8xb32',
}


def row(name: str) -> Row:
    """The row of COCO with other photos."""
    known = COCO.row(name).settings
    paper = Setting(
        config=f'openimages_mini/{STEMS[name]}-coslr-800e_openimages-mini.py',
        transfer=known['paper'].transfer,
    )
    return Row(name=name, settings={'paper': paper, 'scenes': known['scenes']})


study = Study(
    title='D3SSL, Table 3: main results of OpenImage-MINI',
    measures=COCO.measures,
    rows=[row(name) for name in STEMS],
    published=[
        Published(
            title='D3SSL, Table 3',
            columns=COCO.published[0].columns,
            rows={
                'MoCo v2': (54.5, 81.0, 60.2, 38.1, 57.4, 41.1, 33.1, 54.3, 35.3),
                'DenseCL': (57.1, 82.0, 63.3, 39.0, 58.6, 42.0, 34.0, 55.2, 36.5),
                'ReSim': (57.4, 82.4, 64.0, 38.9, 58.1, 42.0, 33.9, 54.8, 36.2),
                'SoCo': (56.9, 81.9, 63.5, 38.4, 57.8, 41.5, 33.4, 54.6, 35.4),
                'PLRC': (53.7, 80.0, 58.8, 36.5, 55.2, 38.8, 31.7, 51.9, 33.7),
                'D3SSL': (57.9, 82.8, 64.5, 40.1, 59.9, 43.4, 34.8, 56.5, 36.8),
            },
        )
    ],
)
