"""BYOL with the de-coupling branch at feature-map level on generated scenes: a CPU, minutes.

Purpose: the branch on a method of mmpretrain, see README.md beside this file.
Command: mmdssl scenes data/scenes
    mmdssl train projects/byol/byol-d_r18w32-128px_1xb32-250i_scenes.py
    Plain BYOL: --cfg-options model.decoupling=None
Measured: see README.md beside this file.
"""

_base_ = [
    '../../configs/_base_/datasets/scenes_mocov2.py',
    '../../configs/_base_/datasets/scenes_object_knn.py',
    '../../configs/_base_/schedules/densecl_sgd_1xb32-250i.py',
    '../../configs/_base_/cpu_runtime.py',
]

custom_imports = dict(imports=['projects.byol.decoupled_byol'])

model = dict(
    type='DecoupledBYOL',
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='NonLinearNeck',
        in_channels=256,
        hid_channels=512,
        out_channels=128,
        with_last_bn=False,
        norm_cfg=dict(type='BN1d'),
    ),
    head=dict(
        type='LatentPredictHead',
        loss=dict(type='CosineSimilarityLoss'),
        predictor=dict(
            type='NonLinearNeck',
            in_channels=128,
            hid_channels=512,
            out_channels=128,
            with_avg_pool=False,
            with_last_bn=False,
            norm_cfg=dict(type='BN1d'),
        ),
    ),
    base_momentum=0.03,  # the share of the student: m = 0.97 in our notation, to 1 by a cosine
    decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25, key_views=(0, 1)),
    data_preprocessor=_base_.data_preprocessor,
)
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
