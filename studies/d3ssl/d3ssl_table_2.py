"""Table 2 of "De-coupling and De-positioning Dense Self-supervised Learning": what is learnt from.

    mmdssl study d3ssl/d3ssl_table_2 --scale paper --executor slurm --set slurm_partition=gpu

Photos, objects and classes of OpenImage-MINI and of COCO, counted where D3SSL learns from them:
with one ``--out`` the runs of Tables 3 and 1, so that what the photos are worth stands beside the
counts. The counts alone, before anything is trained, are those that ``mmdssl openimages`` prints.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Study, load_study

HERE = Path(__file__).parent
TABLES = {'OpenImage-MINI': 'd3ssl_table_3', 'COCO': 'd3ssl_table_1'}


def row(name: str) -> Row:
    """D3SSL of another table; scenes are no photos, and only rehearse."""
    known = load_study(HERE / f'{TABLES[name]}.py').row('D3SSL').settings
    return Row(name=name, settings={'paper': known['paper'], 'smoke': known['scenes']})


study = Study(
    title='D3SSL, Table 2: photos, objects and classes',
    measures=('data', 'cost'),
    rows=[row(name) for name in TABLES],
    published=[
        Published(
            title='D3SSL, Table 2',
            columns={
                'data/images': '#Imgs',
                'data/objects_per_image': '#Obj/Img',
                'data/categories_per_image': '#Cat/Img',
                'data/categories': '#Cat',
            },
            rows={
                'OpenImage-MINI': (146_000, 9.1, 3.20, 569),
                'COCO': (118_000, 7.4, 2.95, 80),
            },
        )
    ],
)
