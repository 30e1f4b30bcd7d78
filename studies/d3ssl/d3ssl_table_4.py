"""Table 4 of "De-coupling and De-positioning Dense Self-supervised Learning": O-KNN.

    mmdssl study d3ssl/d3ssl_table_4 --scale paper --executor slurm --set slurm_partition=gpu

O-KNN and O-KNN-D on COCO of the runs of Table 3, without PLRC; with one ``--out`` the same runs.
"""

from pathlib import Path

from mmdssl.studies import Published, Study, load_study

RUNS = load_study(Path(__file__).with_name('d3ssl_table_3.py'))
study = Study(
    title='D3SSL, Table 4: O-KNN after OpenImage-MINI',
    rows=[row for row in RUNS.rows if row.name != 'PLRC'],
    published=[
        Published(
            title='D3SSL, Table 4',
            columns={
                'oknn/top1': 'O-KNN Top-1',
                'oknn/top5': 'O-KNN Top-5',
                'oknn_d/top1': 'Disturbed O-KNN Top-1',
                'oknn_d/top5': 'Disturbed O-KNN Top-5',
            },
            rows={
                'MoCo v2': (68.3, 86.5, 53.1, 72.0),
                'DenseCL': (65.2, 86.1, 44.8, 64.5),
                'ReSim': (63.3, 84.6, 45.4, 65.8),
                'SoCo': (70.2, 88.3, 47.0, 66.1),
                'D3SSL': (73.1, 90.1, 55.8, 73.4),
            },
        )
    ],
)
