"""iBOT on a few hundred COCO photos at 128 px: a CPU, minutes.

Purpose: smoke test of the pipeline on real photos.
Command: mmdssl train configs/coco_mini/ibot_vit-micro-p16_1xb32-400i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout (train2017/, val2017/,
    annotations/instances_train2017.json, annotations/instances_val2017.json)
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/ibot_vit-micro-p16.py',
    '../_base_/datasets/coco_ibot_128px.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/ibot_adamw_1xb24-250i.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
train_cfg = dict(max_iters=400)
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
    dict(type='ObjectKNNHook', interval=100, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
