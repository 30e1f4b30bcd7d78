"""iBOT-D, ViT-S/16 at 128 px, from nothing on a few thousand photos: one GPU, minutes.

Purpose: comparison with the iBOT run of this folder.
Command: mmdssl train configs/photos/ibot-d_vit-small-p16-128px_1xb256-3000i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = './ibot_vit-small-p16-128px_1xb256-3000i_photos.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
