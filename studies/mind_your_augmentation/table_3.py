"""Table 3 of "Mind Your Augmentation" (ICLR 2024, Sec. 5.3): O-KNN, plain and disturbed.

    mmdssl study mind_your_augmentation/table_3 --scale paper --seeds 0

The runs of Tables 1 and 2, 800 epochs of COCO: with one ``--out`` none is trained twice.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Study, load_study

CNN = load_study(Path(__file__).with_name('table_1.py'))
VIT = load_study(Path(__file__).with_name('table_2.py'))


def rows() -> list[Row]:
    """Networks of convolutions, which at ``smoke`` are those of ``scenes``, and transformers."""
    found = []
    for name in ('DenseCL', 'DenseCL-D', 'SoCo', 'SoCo-D'):
        row = CNN.row(name)
        settings = {**row.settings, 'smoke': row.settings['scenes']}
        found.append(Row(name=name, role=row.role, base=row.base, settings=settings))
    return found + list(VIT.rows)


study = Study(
    title='Table 3: O-KNN and O-KNN-D',
    rows=rows(),
    published=[
        Published(
            title='Table 3',
            columns={
                'oknn/top1': 'OKNN Top.1',
                'oknn/top5': 'OKNN Top.5',
                'oknn_d/top1': 'OKNN-D Top.1',
                'oknn_d/top5': 'OKNN-D Top.5',
            },
            rows={
                'DenseCL': (72.5, 89.6, 41.5, 59.9),
                'DenseCL-D': (74.5, 91.2, 45.1, 63.9),
                'SoCo': (73.5, 89.7, 43.7, 61.2),
                'SoCo-D': (75.8, 90.8, 47.8, 65.0),
                'iBOT': (75.2, 90.8, 45.8, 68.3),
                'iBOT-D': (78.7, 93.3, 52.1, 71.9),
                'MaskAlign': (77.4, 91.6, 53.8, 74.0),
                'MaskAlign-D': (79.0, 92.7, 55.2, 76.1),
            },
        )
    ],
)
