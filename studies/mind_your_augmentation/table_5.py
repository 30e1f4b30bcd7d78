"""Table 5 of "Mind Your Augmentation" (ICLR 2024, Sec. 6.2): what the branch compares, on iBOT.

    mmdssl study mind_your_augmentation/table_5 --scale scenes --seeds 0 1 2 --jobs 2

iBOT, 200 epochs of COCO, one rectangle as foreground in every row, never its complement, which
nothing supports. The objectives are those of
Table 11; the first and the last row are those of Table 4, and with one ``--out`` the same runs.
"""

from pathlib import Path

from mmdssl.studies import Published, Row, Setting, Study, load_study, with_config

MASKS = load_study(Path(__file__).with_name('table_4.py'))
rectangle = MASKS.row('+DC_Rec')
OBJECTIVES = {'Avg': 'average', 'p-a': 'all', 'p-p': 'point'}
PAPER = 'ablations/ibot-d-rec{}_vit-small-p16_8xb64-coslr-200e_coco.py'
ENDINGS = {'Avg': '-avg', 'p-a': '-all', 'p-p': ''}


def settings(name: str) -> dict[str, Setting]:
    """Those of rectangles; the paper's config has the objective already."""
    return with_config(rectangle.settings, 'paper', PAPER.format(ENDINGS[name]))


study = Study(
    title='Table 5: objectives of the branch, iBOT',
    measures=MASKS.measures,
    rows=[
        MASKS.row('iBOT'),
        *(
            Row(
                name=f'+DC_{name}',
                role='decoupled',
                base='iBOT',
                settings=settings(name),
                masks=rectangle.masks,
                options={
                    **rectangle.options,
                    **({} if value == 'point' else {'model.decoupling.objective': value}),
                },
            )
            for name, value in OBJECTIVES.items()
        ),
        *(row for row in MASKS.rows if row.is_control),
    ],
    published=[
        Published(
            title='Table 5',
            columns=MASKS.published[0].columns,
            rows={
                'iBOT': (38.7, 69.9, 1.80, 0.17),
                '+DC_Avg': (38.0, 69.0, 1.51, 0.36),
                '+DC_p-a': (37.2, 66.7, 1.48, 0.45),
                '+DC_p-p': (39.3, 69.3, 1.32, 0.15),
            },
        )
    ],
)
