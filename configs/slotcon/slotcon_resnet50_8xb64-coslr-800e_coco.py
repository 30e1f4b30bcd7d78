"""SlotCon, ResNet-50, COCO train2017, 800 epochs.

Reproduces: "Self-Supervised Visual Representation Learning with Semantic Grouping" (NeurIPS 2022),
    the COCO pre-training, settings of the official COCO script.
Command: tools/dist_train.sh configs/slotcon/slotcon_resnet50_8xb64-coslr-800e_coco.py 8
Costs: not published. Ours: not measured.
Published: Mask R-CNN R50-FPN 1x on COCO 41.0 box AP, 37.0 mask AP.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/slotcon_resnet50.py',
    '../_base_/datasets/coco_slotcon.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/slotcon_lars_8xb64-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
