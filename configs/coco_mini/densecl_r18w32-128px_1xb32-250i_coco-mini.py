"""DenseCL on a few hundred COCO photos at 128 px: a CPU, minutes.

Purpose: smoke test of the pipeline on real photos.
Command: mmdssl train configs/coco_mini/densecl_r18w32-128px_1xb32-250i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout (train2017/, val2017/,
    annotations/instances_train2017.json, annotations/instances_val2017.json)
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/densecl_resnet18w32-128px.py',
    '../_base_/datasets/coco_mocov2_128px.py',
    '../_base_/datasets/coco_object_knn_128px.py',
    '../_base_/schedules/densecl_sgd_1xb32-250i.py',
    '../_base_/cpu_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
