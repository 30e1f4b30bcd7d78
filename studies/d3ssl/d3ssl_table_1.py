"""Table 1 of "De-coupling and De-positioning Dense Self-supervised Learning" (Sec. 5.2), COCO.

    mmdssl study d3ssl/d3ssl_table_1 --scale scenes --seeds 0 1 2 --jobs 2

ResNet-50, 800 epochs of COCO, judged by Faster R-CNN C4 on VOC and Mask R-CNN C4 on COCO. The rows
BYOL and Self-EMD have box AP alone, likely of an FPN; DenseCL's equal figures published for an FPN.
For C4 see mind_your_augmentation/table_1, with whose runs these are shared. Nothing public says how
PixPro and Self-EMD were trained on COCO: configs/pixpro, configs/selfemd.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Setting, Study, load_study

CNN = load_study(Path(__file__).parents[1] / 'mind_your_augmentation/table_1.py')
FILES = {
    'BYOL': ('byol/byol_resnet50_8xb64', 'byol'),
    'Self-EMD': ('selfemd/selfemd_resnet50_8xb64', 'selfemd'),
    'PixPro': ('pixpro/pixpro_resnet50_8xb64', 'pixpro'),
    'D3SSL': ('d3ssl/d3ssl_resnet50-c4_8xb32', 'd3ssl'),
}
ORDER = 'MoCo v2', 'BYOL', 'Self-EMD', 'PixPro', 'ReSim', 'DenseCL', 'SoCo', 'PLRC', 'D3SSL'
judges = {scale: setting.judges for scale, setting in CNN.row('MoCo v2').settings.items()}


def row(name: str) -> Row:
    """A row of the other paper's table, or one of its own."""
    if name not in FILES:
        return CNN.row(name)
    paper, scenes = FILES[name]
    files = {
        'paper': f'{paper}-coslr-800e_coco.py',
        'scenes': f'scenes/{scenes}_r18w32-128px_1xb32-250i_scenes.py',
    }
    return Row(
        name=name,
        settings={
            scale: Setting(config=file, transfer=judges[scale]) for scale, file in files.items()
        },
    )


none = (None,) * 3
study = Study(
    title='D3SSL, Table 1: main results of COCO',
    measures=CNN.measures,
    rows=[row(name) for name in ORDER],
    published=[
        Published(
            title='D3SSL, Table 1',
            columns=CNN.published[0].columns,
            rows={
                'MoCo v2': (54.7, 81.0, 60.6, 38.5, 58.1, 42.1, 34.7, 56.5, 36.9),
                'BYOL': (*none, 37.9, 57.5, 40.9, *none),
                'Self-EMD': (*none, 38.5, 58.3, 41.6, *none),
                'PixPro': (56.5, 81.4, 62.7, 39.0, 58.9, 43.0, 35.4, 56.2, 38.1),
                'ReSim': (56.6, 81.7, 63.5, 39.2, 59.1, 42.7, 35.2, 56.3, 37.8),
                'DenseCL': (56.7, 81.7, 63.0, 39.6, 59.3, 43.3, 35.7, 56.5, 38.4),
                'SoCo': (56.8, 81.7, 63.5, 39.6, 59.5, 43.2, 34.4, 56.3, 37.1),
                'PLRC': (57.1, 82.1, 63.8, 39.8, 59.6, 43.7, 35.9, 56.9, 38.6),
                'D3SSL': (57.8, 82.5, 64.4, 40.3, 60.1, 44.0, 35.1, 56.9, 37.6),
            },
        )
    ],
)
