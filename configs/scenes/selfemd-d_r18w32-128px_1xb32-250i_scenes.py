"""Self-EMD-D on generated scenes: half-width ResNet-18, a CPU, minutes.

Purpose: comparison with the Self-EMD run of this folder.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/selfemd-d_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = './selfemd_r18w32-128px_1xb32-250i_scenes.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
