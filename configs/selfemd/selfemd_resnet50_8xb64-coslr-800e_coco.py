"""Self-EMD, ResNet-50, COCO train2017, 800 epochs.

Purpose: comparison with "De-coupling and De-positioning Dense Self-supervised Learning", Table 1,
    row Self-EMD. There is no public code; weights, transport and run are ours, BYOL's COCO recipe
    of ORL (NeurIPS 2021). The multi-crop of the paper is not here.
Command: tools/dist_train.sh configs/selfemd/selfemd_resnet50_8xb64-coslr-800e_coco.py 8
Costs: not published. Ours: not measured.
Published: COCO detection 38.5 box AP, probably with an FPN (its own paper: 39.8).
Measured: not measured.
"""

_base_ = [
    '../_base_/models/selfemd_resnet50.py',
    '../_base_/datasets/coco_selfemd.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/orl_sgd_8xb64-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
