"""Table 11 of "Mind Your Augmentation" (ICLR 2024, App. G.1): what the branch compares, on DenseCL.

    mmdssl study mind_your_augmentation/table_11 --scale scenes --seeds 0 1 2 --jobs 2

DenseCL, 200 epochs of COCO, one rectangle as foreground in every row. DC_Avg: the means over the
foreground, as InsLoc; DC_p-a: every foreground position with every one of the key view, as CP2;
DC_p-p: the same position. The first and the last row are those of Table 10, and with one ``--out``
the same runs.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Setting, Study, load_study, with_config

MASKS = load_study(Path(__file__).with_name('table_10.py'))
rectangle = MASKS.row('+DC_Rec')
OBJECTIVES = {'Avg': 'average', 'p-a': 'all', 'p-p': 'point'}
PAPER = 'ablations/densecl-d-rec{}_resnet50_8xb32-coslr-200e_coco.py'
ENDINGS = {'Avg': '-avg', 'p-a': '-all', 'p-p': ''}


def settings(name: str) -> dict[str, Setting]:
    """Those of rectangles; the paper's config has the objective already."""
    return with_config(rectangle.settings, 'paper', PAPER.format(ENDINGS[name]))


study = Study(
    title='Table 11: objectives of the branch, DenseCL',
    measures=MASKS.measures,
    scales=MASKS.scales,
    rows=[
        MASKS.row('DenseCL'),
        *(
            Row(
                name=f'+DC_{name}',
                role='decoupled',
                base='DenseCL',
                settings=settings(name),
                masks=rectangle.masks,
                options={} if value == 'point' else {'model.decoupling.objective': value},
            )
            for name, value in OBJECTIVES.items()
        ),
        *(row for row in MASKS.rows if row.is_control),
    ],
    published=[
        Published(
            title='Table 11',
            columns=MASKS.published[0].columns,
            rows={
                'DenseCL': (55.0, 67.5, 1.64, 0.31),
                '+DC_Avg': (54.4, 65.2, 1.33, 0.33),
                '+DC_p-a': (54.1, 63.5, 1.41, 0.40),
                '+DC_p-p': (55.2, 66.7, 1.25, 0.24),
            },
        )
    ],
)
