"""The point-level baseline, ResNet-50, COCO train2017, 800 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Sec. 3, the curve
    "point-level" of Figs. 3b and 4b. The paper says that absolute coordinates make the positive
    pairs and no more; this is DenseCL with that correspondence. All other settings are ours: those
    of DenseCL.
    Other ways from a place to a positive: --cfg-options model.match=bilinear or model.match=pixpro
Command: tools/dist_train.sh configs/pointlevel/pointlevel_resnet50_8xb32-coslr-800e_coco.py 8
Costs: DenseCL's but for the search of cells, published 29 hours on 8 RTX 3090. Ours: not measured.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/densecl_resnet50.py',
    '../_base_/datasets/coco_pointlevel.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/densecl_sgd_8xb32-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(correspondence='place', data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
