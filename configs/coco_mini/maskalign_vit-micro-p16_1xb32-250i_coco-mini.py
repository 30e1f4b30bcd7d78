"""MaskAlign on a few hundred COCO photos at 128 px: a CPU, minutes.

Purpose: smoke test of the pipeline on real photos.
Command: the teacher first: ibot_vit-micro-p16_1xb32-400i_coco-mini.py; then
    mmdssl train configs/coco_mini/maskalign_vit-micro-p16_1xb32-250i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout (train2017/, val2017/,
    annotations/instances_train2017.json, annotations/instances_val2017.json)
    Another teacher: model.teacher.checkpoint=FILE
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/maskalign_vit-micro-p16.py',
    '../_base_/datasets/coco_maskalign_128px.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/maskalign_adamw_1xb32-250i.py',
    '../default_runtime.py',
]

teacher_checkpoint = 'work_dirs/ibot_vit-micro-p16_1xb32-400i_coco-mini/iter_400.pth'
model = dict(
    data_preprocessor=_base_.data_preprocessor, teacher=dict(checkpoint=teacher_checkpoint)
)
object_knn_dataloader = dict(
    num_workers=1,
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=128),
        ],
    ),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=50, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
