"""DenseCL-D in the demo: quarter-width ResNet-18, 64 px views, one CPU core, minutes.

Purpose: `make demo` runs this beside DenseCL.
Command: mmdssl scenes data/demo --preset demo
    mmdssl train configs/scenes/densecl-d_r18w16-64px_1xb32-150i_scenes.py
    --cfg-options data_root=data/demo
Measured: see README.md beside this file.
"""

_base_ = './densecl_r18w16-64px_1xb32-150i_scenes.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
