"""Tables 10 and 11 of "Mind Your Augmentation" (ICLR 2024), asked of a given backbone.

    mmdssl study photos/given_masks --scale judge --data-root PHOTOS --seeds 1 2 3

DenseCL goes on from MobileNetV2 of ImageNet (as photos/post_training, in whose folder and on whose
half of val2012 this one runs), with every mask and every objective of the branch. The papers
pre-train from nothing; runs of minutes from a net that knows objects differ by far less between
seeds. What has come out: configs/photos/README.md.
"""

import dataclasses
from pathlib import Path

from mmdssl.studies import Row, Study, load_study

TABLES = Path(__file__).parents[1] / 'mind_your_augmentation'
POST_TRAINING = load_study(Path(__file__).with_name('post_training.py'))
masks, objectives = (load_study(TABLES / f'table_{number}.py') for number in (10, 11))


def row(published: Row) -> Row:
    """A row of the tables with the networks, photos and lengths of post-training."""
    ours = POST_TRAINING.row('densecl-d' if published.base else 'densecl')
    return dataclasses.replace(published, settings=ours.settings, continues=True)


study = Study(
    title='Masks and objectives of the branch, DenseCL from a given backbone on photos',
    measures=(),
    scales=POST_TRAINING.scales,
    rows=[
        POST_TRAINING.row('given'),
        *(row(one) for one in masks.rows if not one.is_control),
        *(row(objectives.row(name)) for name in ('+DC_Avg', '+DC_p-a')),
    ],
)
