"""SimMIM with the de-coupling branch on generated scenes: a CPU, minutes.

Purpose: the branch on a method of mmpretrain, see README.md beside this file.
Command: mmdssl scenes data/scenes
    mmdssl train projects/simmim/simmim-d_vit-micro-p16_1xb32-250i_scenes.py
    Plain SimMIM: --cfg-options model.decoupling=None
Measured: see README.md beside this file.
"""

_base_ = [
    '../../configs/_base_/datasets/scenes_maskalign.py',
    '../../configs/_base_/datasets/scenes_object_knn.py',
    '../../configs/_base_/cpu_runtime.py',
]

custom_imports = dict(imports=['projects.simmim.decoupled_simmim'])

model = dict(
    type='DecoupledSimMIM',
    backbone=dict(
        type='MaskedViT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768),
        img_size=128,
        patch_size=16,
    ),
    neck=dict(type='SimMIMLinearDecoder', in_channels=192, encoder_stride=16),
    head=dict(
        type='SimMIMHead',
        patch_size=16,
        loss=dict(type='PixelReconstructionLoss', criterion='L1', channel=3),
    ),
    decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25),
    data_preprocessor=_base_.data_preprocessor,
)
# One crop, as for MaskAlign; patches that SimMIM hides, and the masks of the branch.
hide = [dict(type='RandomPatchMask', ratio=0.6, mask_size=_base_.mask_size)]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(
                type='MultiViewWithBoxes',
                num_views=[1],
                pipelines=[_base_.crop + hide + _base_.branch_mask],
            ),
            dict(type='PackViews', keys=('mask', 'dc_mask')),
        ]
    )
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=250)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05),
)
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', warmup_iters=25, eta_min=1e-5, by_epoch=False)
]
