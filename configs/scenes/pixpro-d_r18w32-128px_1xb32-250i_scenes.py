"""PixPro-D on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of the COCO run.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/pixpro-d_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = './pixpro_r18w32-128px_1xb32-250i_scenes.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
