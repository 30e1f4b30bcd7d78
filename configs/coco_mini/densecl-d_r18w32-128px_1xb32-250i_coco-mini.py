"""DenseCL-D on a few hundred COCO photos at 128 px: a CPU, minutes.

Purpose: comparison with the DenseCL run of this folder.
Command: mmdssl train configs/coco_mini/densecl-d_r18w32-128px_1xb32-250i_coco-mini.py
    --cfg-options data_root=FOLDER, see densecl_r18w32-128px_1xb32-250i_coco-mini.py
Measured: see README.md beside this file.
"""

_base_ = './densecl_r18w32-128px_1xb32-250i_coco-mini.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
