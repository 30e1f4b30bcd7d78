"""D3SSL, ResNet-50-C4, COCO train2017, 800 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 1, row D3SSL.
    The paper's settings are in a supplement that is not public and it has no code: what is chosen
    instead (optimizer, queue, K, sizes, colours) is named in mmdssl/models/algorithms/d3ssl.py.
Command: mmdssl proposals data/coco/train2017 data/coco/proposals/ss_train2017.npz
    tools/dist_train.sh configs/d3ssl/d3ssl_resnet50-c4_8xb32-coslr-800e_coco.py 8
Costs: not published. Ours: not measured.
Published: VOC detection 57.8 AP (82.5 AP50, 64.4 AP75); Mask R-CNN C4 40.3 box AP (60.1, 44.0),
    35.1 mask AP (56.9, 37.6). "Mind Your Augmentation" (ICLR 2024), Table 1, prints the same nine
    numbers for SoCo-D: one data point, not two. O-KNN is published for OpenImage-MINI only: 73.1
    top-1, disturbed 55.8 (Table 4).
Measured: not measured.
"""

_base_ = [
    '../_base_/models/d3ssl_resnet50-c4.py',
    '../_base_/datasets/coco_d3ssl.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/densecl_sgd_8xb32-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
