"""iBOT-D goes on from a distilled ViT of width 192 and depth 4 on photos, 128 px: a CPU core.

Purpose: comparison with the iBOT run of this folder.
Command: mmdssl train configs/photos/ibot-d_vit-micro-p16-128px_1xb32-200i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS model.init=FILE
    FILE: the end of crossdistill_vit-micro-p16-128px_1xb32-1500i_photos.py, beside this file
Measured: see README.md beside this file.
"""

_base_ = './ibot_vit-micro-p16-128px_1xb32-200i_photos.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
