"""BYOL, ResNet-50, COCO train2017, 800 epochs.

Reproduces: "Unsupervised Object-Level Representation Learning from Scene Images" (ORL, NeurIPS
    2021), stage 1, as its code trains BYOL on COCO. "De-coupling and De-positioning Dense
    Self-supervised Learning", Table 1, prints detection scores of a BYOL of which it does not say
    how it was trained or with which detector.
Command: tools/dist_train.sh configs/byol/byol_resnet50_8xb64-coslr-800e_coco.py 8
Published: COCO detection 37.9 AP (probably of a detector with FPN).
Measured: not measured.
"""

_base_ = [
    '../_base_/models/byol_resnet50.py',
    '../_base_/datasets/coco_byol.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/orl_sgd_8xb64-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
