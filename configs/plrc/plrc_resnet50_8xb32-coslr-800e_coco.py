"""PLRC, ResNet-50, COCO train2017, 800 epochs.

Purpose: comparison with "Mind Your Augmentation" (ICLR 2024), Table 1, and "De-coupling and
    De-positioning Dense Self-supervised Learning", Table 1, row PLRC. Settings of the method from
    its public code, corrected where that does not do what the paper means (README.md); those of
    the run are ours, since none are published: DenseCL's, rate 0.3 at 256 images.
Command: tools/dist_train.sh configs/plrc/plrc_resnet50_8xb32-coslr-800e_coco.py 8
Costs: not published; the memory of all pairs is not held, see README.md. Ours: not measured.
Published: VOC detection 57.1 AP; Mask R-CNN C4 39.8 box AP, 35.9 mask AP.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/plrc_resnet50.py',
    '../_base_/datasets/coco_plrc.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/plrc_sgd_8xb32-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
