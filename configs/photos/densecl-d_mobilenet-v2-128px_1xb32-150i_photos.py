"""DenseCL-D goes on from a given MobileNetV2 on photos, at a low rate: a CPU core, minutes.

Purpose: comparison with the DenseCL run of this folder.
Command: mmdssl train configs/photos/densecl-d_mobilenet-v2-128px_1xb32-150i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS model.init=FILE
    FILE: mmpretrain's mobilenet_v2_batch256_imagenet
Measured: see README.md beside this file.
"""

_base_ = './densecl_mobilenet-v2-128px_1xb32-150i_photos.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
