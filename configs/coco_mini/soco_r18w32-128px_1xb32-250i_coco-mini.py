"""SoCo on a few hundred COCO photos at 128 px: half-width ResNet-18, a CPU, minutes.

Reproduces: no table; the small counterpart of the COCO baseline.
Command: python tools/train.py configs/coco_mini/soco_r18w32-128px_1xb32-250i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout with proposals
Costs: see README.md beside this file.
Published: none.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/soco_resnet18w32-c4-128px.py',
    '../_base_/datasets/coco_soco_128px.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/soco_lars_1xb32-250i.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
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
    dict(type='ObjectKNNHook', interval=125, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25),
    checkpoint=dict(by_epoch=False, interval=125, max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False)
