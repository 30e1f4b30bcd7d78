"""iBOT with Gram anchoring on generated scenes: a CPU, minutes.

The small form of DINOv3's third stage: from iteration 150 the student's patch-to-patch cosines
follow those of the teacher of iteration 100, which sees each crop uncoloured at 256 px while the
student has 128 px; at iteration 200 the present teacher takes its place.

Purpose: Gram anchoring on a CPU; ours, of no published table.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/ibot-gram_vit-micro-p16_1xb24-250i_scenes.py
Measured: not measured.
"""

_base_ = './ibot_vit-micro-p16_1xb24-250i_scenes.py'

large_crop = [dict(_base_.crop[0], size=256), _base_.crop[1]]
model = dict(
    data_preprocessor=dict(keep_raw=True, student_size=128),
    branches=[
        dict(
            type='GramAnchoring',
            weight=2.0,
            teacher_from=100,
            start=150,
            warmup=20,
            refresh_every=100,
            refresh_start=200,
            refresh_times=1,
            sees='raw',
        )
    ],
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(
                type='MultiViewWithBoxes', num_views=[2], pipelines=[large_crop + _base_.block_mask]
            ),
            dict(type='PackViews', keys=('mask',)),
        ]
    )
)
