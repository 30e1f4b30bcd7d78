"""DenseCL-D, 200 epochs.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 10, row RCC.
Command: tools/dist_train.sh configs/densecl/densecl-d_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: VOC detection 55.9 AP; O-KNN 70.0 top-1; coupling ratio 1.18 between objects, 0.12
    within.
Measured: not measured.
"""

_base_ = './densecl-d_resnet50_8xb32-coslr-800e_coco.py'

train_cfg = dict(max_epochs=200)
