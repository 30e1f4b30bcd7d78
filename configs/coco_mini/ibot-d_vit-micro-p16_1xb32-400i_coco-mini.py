"""iBOT-D on a few hundred COCO photos at 128 px: a CPU, minutes.

Purpose: comparison with the iBOT run of this folder.
Command: mmdssl train configs/coco_mini/ibot-d_vit-micro-p16_1xb32-400i_coco-mini.py
    --cfg-options data_root=FOLDER, see ibot_vit-micro-p16_1xb32-400i_coco-mini.py
Measured: see README.md beside this file.
"""

_base_ = './ibot_vit-micro-p16_1xb32-400i_coco-mini.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
