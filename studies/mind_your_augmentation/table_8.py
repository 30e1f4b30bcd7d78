"""Table 8 of "Mind Your Augmentation" (ICLR 2024, App. F): hours of training with the branch.

    mmdssl study mind_your_augmentation/table_8 --scale paper --seeds 0

Published are hours of 8 RTX 3090 for 800 epochs of COCO. Ours are the median of an iteration times
their number, on the machine there is, so that only the ratio of two rows compares. The paper counts
a quarter of a batch as additional crops; iBOT-D as its public code has it, and as it stands here,
adds a quarter of each of two views: ``model.decoupling.sample_ratio=0.125`` is the paper's count.
The runs are those of Table 3, and with one ``--out`` none is trained twice.
"""

from pathlib import Path

from mmdssl.studies import Published, Study, load_study

study = Study(
    title='Table 8: training time',
    rows=load_study(Path(__file__).with_name('table_3.py')).rows,
    published=[
        Published(
            title='Table 8',
            columns={'cost/hours': 'Training Time'},
            rows={
                'SoCo': (27,),
                'SoCo-D': (30,),
                'DenseCL': (29,),
                'DenseCL-D': (32,),
                'iBOT': (24,),
                'iBOT-D': (27,),
                'MaskAlign': (10,),
                'MaskAlign-D': (13,),
            },
        )
    ],
)
