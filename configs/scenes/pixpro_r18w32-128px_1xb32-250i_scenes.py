"""PixPro on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of the COCO run.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/pixpro_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/pixpro_resnet18w32-128px.py',
    '../_base_/datasets/scenes_pointlevel.py',
    '../_base_/datasets/scenes_object_knn.py',
    '../_base_/datasets/scenes_coupling.py',
    '../_base_/schedules/soco_lars_1xb32-250i.py',
    '../_base_/cpu_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
