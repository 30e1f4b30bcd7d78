"""NeCo on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of the COCO run.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py  # the start
    mmdssl train configs/scenes/neco_vit-micro-p16_1xb24-200i_scenes.py
    Another start: --cfg-options model.init=FILE
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/neco_vit-micro-p16.py',
    '../_base_/datasets/scenes_leopart.py',
    '../_base_/datasets/scenes_object_knn.py',
    '../_base_/datasets/scenes_coupling.py',
    '../_base_/datasets/scenes_overclustering.py',
    '../_base_/schedules/leopart_adamw_1xb24-200i.py',
    '../default_runtime.py',
]

model = dict(
    init='work_dirs/ibot_vit-micro-p16_1xb24-250i_scenes/iter_250.pth',
    data_preprocessor=_base_.data_preprocessor,
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=50, by_epoch=False, initial=True),
    dict(type='OverClusteringHook', interval=100, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
