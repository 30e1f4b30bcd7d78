"""SoCo on a few hundred COCO photos at 128 px: half-width ResNet-18, a CPU, half an hour.

Purpose: CPU-sized version of the COCO baseline.
Command: mmdssl train configs/coco_mini/soco_r18w32-128px_1xb32-1000i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout with proposals
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/soco_resnet18w32-c4-128px.py',
    '../_base_/datasets/coco_soco_128px.py',
    '../_base_/datasets/coco_object_knn_128px.py',
    '../_base_/schedules/soco_lars_1xb32-250i.py',
    '../_base_/cpu_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
train_cfg = dict(max_iters=1000)  # photos take longer than scenes until objects are known better
