"""SoCo-D on a few hundred COCO photos at 128 px: half-width ResNet-18, a CPU, half an hour.

Purpose: CPU-sized version of the COCO run.
Command: mmdssl train configs/coco_mini/soco-d_r18w32-128px_1xb32-1000i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout with proposals
Measured: see README.md beside this file.
"""

_base_ = './soco_r18w32-128px_1xb32-1000i_coco-mini.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
