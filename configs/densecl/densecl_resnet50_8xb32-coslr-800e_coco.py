"""DenseCL, ResNet-50, COCO train2017, 800 epochs: the plain baseline.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Tables 1 and 3, row DenseCL; "DenseCL" (CVPR
    2021), the COCO pre-training. Settings of the official code, float32 as there.
Command: tools/dist_train.sh configs/densecl/densecl_resnet50_8xb32-coslr-800e_coco.py 8
Costs: published 29 hours on 8 RTX 3090. Ours: not measured.
Published: VOC detection 56.7 AP; Mask R-CNN C4 38.5 box AP, 33.6 mask AP; O-KNN 72.5 top-1,
    disturbed 41.5.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/densecl_resnet50.py',
    '../_base_/datasets/coco_mocov2.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/densecl_sgd_8xb32-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
