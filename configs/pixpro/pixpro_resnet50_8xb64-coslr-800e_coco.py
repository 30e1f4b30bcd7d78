"""PixPro, ResNet-50, COCO train2017, 800 epochs.

Purpose: the row PixPro of "De-coupling and De-positioning Dense Self-supervised Learning", Table 1.
    Nobody has published how PixPro is pre-trained on COCO. Network, views and loss are those of its
    code; batch 512, rate 2.0, warm-up and length are ours, after the COCO run of SlotCon, which is
    built on that code.
Command: tools/dist_train.sh configs/pixpro/pixpro_resnet50_8xb64-coslr-800e_coco.py 8
Published: VOC detection 56.5 AP; Mask R-CNN C4 39.0 box AP, 35.4 mask AP (settings not given).
Measured: not measured.
"""

_base_ = [
    '../_base_/models/pixpro_resnet50.py',
    '../_base_/datasets/coco_pixpro.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/pixpro_lars_8xb64-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
