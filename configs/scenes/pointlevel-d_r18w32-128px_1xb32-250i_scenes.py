"""The point-level baseline with the de-coupling branch on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of the COCO run.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/pointlevel-d_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = './pointlevel_r18w32-128px_1xb32-250i_scenes.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
