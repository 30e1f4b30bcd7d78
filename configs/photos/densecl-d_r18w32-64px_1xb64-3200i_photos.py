"""DenseCL-D, half-width ResNet-18, 64 px views, from nothing on a few thousand photos: a CPU core.

Purpose: comparison with the DenseCL run of this folder.
Command: mmdssl train configs/photos/densecl-d_r18w32-64px_1xb64-3200i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = './densecl_r18w32-64px_1xb64-3200i_photos.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
