"""ReSim-FPN, ResNet-50, COCO train2017, 800 epochs.

Purpose: the row ReSim of "De-coupling and De-positioning Dense Self-supervised Learning", Table 1,
    in the form whose code is public. Nobody has published how ReSim is pre-trained on COCO:
    network, views and losses are those of its code, the schedule is ours, DenseCL's (rate 0.3; the
    0.03 of its ImageNet runs: --cfg-options optim_wrapper.optimizer.lr=0.03).
Command: tools/dist_train.sh configs/resim/resim_resnet50_8xb32-coslr-800e_coco.py 8
Published: VOC detection 56.6 AP; Mask R-CNN C4 39.2 box AP, 35.2 mask AP (settings and form not
    given).
Measured: not measured.
"""

_base_ = [
    '../_base_/models/resim_resnet50.py',
    '../_base_/datasets/coco_resim.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/resim_sgd_8xb32-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
