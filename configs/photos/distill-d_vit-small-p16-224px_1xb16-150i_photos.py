"""A given ViT-S/16 is de-coupled on photos by distilling itself: DINO's weights, a GPU, minutes.

Purpose: what to begin with for a vision transformer of one's own.
Command: mmdssl convert import dino_deitsmall16_pretrain.pth --from dino --out start.pth
    mmdssl train configs/photos/distill-d_vit-small-p16-224px_1xb16-150i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS model.init=start.pth
Measured: not measured.
"""

_base_ = './distill-d_mobilenet-v2-160px_1xb16-150i_photos.py'

# The position table is made for 224 px. No mask token: nothing here is masked.
crop = [dict(_base_.crop[0], size=224), _base_.crop[1]]
model = dict(
    backbone=dict(_delete_=True, type='DenseViT', img_size=224, with_mask_token=False),
    init='start.pth',
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MultiViewWithBoxes', num_views=[1], pipelines=[crop + _base_.square_mask]),
            dict(type='PackViews', keys=('dc_mask',)),
        ]
    )
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-5, weight_decay=0.05))
