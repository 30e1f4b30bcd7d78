"""MaskAlign on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of MaskAlign.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py  # the teacher
    mmdssl train configs/scenes/maskalign_vit-micro-p16_1xb32-250i_scenes.py
    Another teacher: --cfg-options model.teacher.checkpoint=FILE
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/maskalign_vit-micro-p16.py',
    '../_base_/datasets/scenes_maskalign.py',
    '../_base_/datasets/scenes_object_knn.py',
    '../_base_/datasets/scenes_coupling.py',
    '../_base_/schedules/maskalign_adamw_1xb32-250i.py',
    '../default_runtime.py',
]

teacher_checkpoint = 'work_dirs/ibot_vit-micro-p16_1xb24-250i_scenes/iter_250.pth'
model = dict(
    data_preprocessor=_base_.data_preprocessor, teacher=dict(checkpoint=teacher_checkpoint)
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=50, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
