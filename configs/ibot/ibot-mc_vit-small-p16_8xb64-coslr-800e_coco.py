"""iBOT with multi-crop: 2 views of 224 px and 4 local crops of 96 px.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 9, row iBOT-MC. Crop scales are those of
    the original iBOT, (0.25, 1) and (0.05, 0.25); they are not stated for this row.
Command: tools/dist_train.sh configs/ibot/ibot-mc_vit-small-p16_8xb64-coslr-800e_coco.py 8
Costs: not published. Ours: not measured.
Published: Cascade Mask R-CNN 43.7 box AP, 38.1 mask AP.
Measured: not measured.
"""

_base_ = './ibot_vit-small-p16_8xb64-coslr-800e_coco.py'

global_crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=224,
        scale=(0.25, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bicubic',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
local_crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=96,
        scale=(0.05, 0.25),
        ratio=(3 / 4, 4 / 3),
        interpolation='bicubic',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
# Local crops take the colours of view 1, blurred half of the time.
local_colour = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8),
    grayscale=0.2,
    blur=dict(prob=0.5, sigma=(0.1, 2.0)),
)
model = dict(
    data_preprocessor=dict(policies=_base_.data_preprocessor.policies + [local_colour] * 4)
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(
                type='MultiViewWithBoxes',
                num_views=[2, 4],
                pipelines=[global_crop + _base_.block_mask, local_crop],
            ),
            dict(type='PackViews', keys=('mask',)),
        ]
    )
)
