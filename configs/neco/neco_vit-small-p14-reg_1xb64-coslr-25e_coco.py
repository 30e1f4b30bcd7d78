"""NeCo, ViT-S/14 with registers, COCO train2017, 25 epochs from DINOv2.

Reproduces: "Near, far: Patch-ordering enhances vision foundation models' scene understanding" (ICLR
    2025), post-training of DINOv2 with registers ViT-S/14, settings of the official code. Which
    tokens its queue holds is not published: here ten random ones an image and global crop.
Command: the ViT to start from first, see README.md; then
    mmdssl train configs/neco/neco_vit-small-p14-reg_1xb64-coslr-25e_coco.py
    Another start: --cfg-options model.init=FILE
Costs: published on one A100, hours not stated. Ours: not measured.
Published: VOC12 K=500 68.9, dense nearest neighbour 80.7, linear 81.5 mIoU.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/neco_vit-small-p14-reg.py',
    '../_base_/datasets/coco_neco.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/datasets/coco_overclustering.py',
    '../_base_/schedules/neco_adamw_1xb64-coslr-25e.py',
    '../default_runtime.py',
]

model = dict(
    init='data/teachers/dinov2-reg_vit-small-p14.pth', data_preprocessor=_base_.data_preprocessor
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=5),
    dict(type='OverClusteringHook', interval=5),
]
