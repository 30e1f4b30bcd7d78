"""Self-EMD on generated scenes: half-width ResNet-18, a CPU, minutes.

Purpose: CPU-sized version of the COCO run, with the views and rates of DenseCL's.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/selfemd_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/selfemd_resnet18w32-128px.py',
    '../_base_/datasets/scenes_mocov2.py',
    '../_base_/datasets/scenes_object_knn.py',
    '../_base_/datasets/scenes_coupling.py',
    '../_base_/schedules/plrc_sgd_1xb32-250i.py',
    '../_base_/cpu_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
