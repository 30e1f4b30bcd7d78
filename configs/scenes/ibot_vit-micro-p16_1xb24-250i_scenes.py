"""iBOT on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of the COCO baseline.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/ibot_vit-micro-p16.py',
    '../_base_/datasets/scenes_ibot.py',
    '../_base_/datasets/scenes_object_knn.py',
    '../_base_/datasets/scenes_coupling.py',
    '../_base_/schedules/ibot_adamw_1xb24-250i.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=50, by_epoch=False, initial=True),
    dict(type='CouplingHook', interval=50, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
