"""NeCo-D on generated scenes: a CPU, minutes.

Purpose: comparison with the NeCo run of this folder.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py  # the start
    mmdssl train configs/scenes/neco-d_vit-micro-p16_1xb24-200i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = './neco_vit-micro-p16_1xb24-200i_scenes.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
