"""D3SSL on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of the COCO run.
Command: mmdssl scenes data/scenes
    mmdssl proposals data/scenes/train data/scenes/proposals/ss_train.npz
    mmdssl train configs/scenes/d3ssl_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/d3ssl_resnet18w32-128px.py',
    '../_base_/datasets/scenes_d3ssl.py',
    '../_base_/datasets/scenes_object_knn.py',
    '../_base_/datasets/scenes_coupling.py',
    '../_base_/schedules/densecl_sgd_1xb32-250i.py',
    '../_base_/cpu_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
# A quarter of DenseCL's rate: D3SSL adds up four InfoNCE terms, DenseCL averages two.
optim_wrapper = dict(optimizer=dict(lr=0.015))
