"""Table 9 of "Mind Your Augmentation" (ICLR 2024, App. F): is it only that there are more views?

    mmdssl study mind_your_augmentation/table_9 --scale scenes --seeds 0 1 2 --jobs 2

iBOT for 800 epochs of COCO and for 900 (the same share more at every scale), with local crops
(iBOT-MC), and with the branch.
"""

import dataclasses
from pathlib import Path

from mmdssl.studies import Published, Row, Setting, Study, load_study

MAIN = load_study(Path(__file__).with_name('table_2.py'))
base = MAIN.row('iBOT')


def detected(setting: Setting, **changes: str) -> Setting:
    """Judged by detection alone."""
    return dataclasses.replace(setting, transfer=setting.judges[0], **changes)


def row(name: str, like: Row, **changes: str | float) -> Row:
    """A row of Table 2, changed."""
    settings = {scale: detected(setting) for scale, setting in like.settings.items()}
    return dataclasses.replace(like, name=name, settings=settings, **changes)


crops = {
    scale: detected(setting, config=setting.config.replace('ibot_', 'ibot-mc_'))
    for scale, setting in base.settings.items()
}
study = Study(
    title='Table 9: pre-training schedules',
    measures=('transfer', 'cost'),
    rows=[
        row('iBOT', base),
        row('iBOT 900', base, role='equal-compute', base='iBOT', length=900 / 800),
        Row(name='iBOT-MC', role='variant', base='iBOT', settings=crops),
        row('iBOT-D', MAIN.row('iBOT-D')),
    ],
    published=[
        Published(
            title='Table 9',
            columns={k: v for k, v in MAIN.published[0].columns.items() if '/coco/' in k},
            rows={
                'iBOT': (42.3, 61.2, 45.6, 37, 58.3, 39.4),
                'iBOT 900': (42.7, 61.9, 45.8, 37.2, 58.6, 39.6),
                'iBOT-MC': (43.7, 62.8, 47.0, 38.1, 59.6, 40.7),
                'iBOT-D': (45.1, 64.3, 48.7, 39.1, 61.2, 41.7),
            },
        )
    ],
)
