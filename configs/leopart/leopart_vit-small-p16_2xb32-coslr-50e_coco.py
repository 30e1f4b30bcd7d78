"""Leopart, ViT-S/16, COCO train2017, 50 epochs from DINO.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 7, row Leopart.
Command: the ViT to start from first, see README.md; then
    tools/dist_train.sh configs/leopart/leopart_vit-small-p16_2xb32-coslr-50e_coco.py 2
    Another start: --cfg-options model.init=FILE
Costs: not published. Ours: not measured.
Published: VOC linear 65.0, FCN 67.2, K=500 45.2 mIoU; COCO-Stuff linear 52.5, K=500 44.4.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/leopart_vit-small-p16.py',
    '../_base_/datasets/coco_leopart.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/datasets/coco_overclustering.py',
    '../_base_/schedules/leopart_adamw_2xb32-coslr-50e.py',
    '../default_runtime.py',
]

model = dict(
    init='data/teachers/dino_vit-small-p16.pth', data_preprocessor=_base_.data_preprocessor
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=5),
    dict(type='OverClusteringHook', interval=5),
]
