"""MaskAlign-D on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of MaskAlign-D.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py  # the teacher
    mmdssl train configs/scenes/maskalign-d_vit-micro-p16_1xb32-250i_scenes.py
    Another teacher: --cfg-options model.teacher.checkpoint=FILE
Measured: see README.md beside this file.
"""

_base_ = './maskalign_vit-micro-p16_1xb32-250i_scenes.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
