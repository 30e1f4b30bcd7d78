"""MaskAlign-D on a few hundred COCO photos at 128 px: a CPU, minutes.

Purpose: smoke test of the pipeline on real photos.
Command: the teacher first: ibot_vit-micro-p16_1xb32-400i_coco-mini.py; then
    mmdssl train configs/coco_mini/maskalign-d_vit-micro-p16_1xb32-250i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout (train2017/, val2017/,
    annotations/instances_train2017.json, annotations/instances_val2017.json)
    Another teacher: model.teacher.checkpoint=FILE
Measured: see README.md beside this file.
"""

_base_ = './maskalign_vit-micro-p16_1xb32-250i_coco-mini.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
