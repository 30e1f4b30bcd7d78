"""DenseCL, 200 epochs: the base of the ablations.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 10, row DenseCL.
Command: tools/dist_train.sh configs/densecl/densecl_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: VOC detection 55.0 AP; O-KNN 67.5 top-1; coupling ratio 1.64 between objects, 0.31
    within.
Measured: not measured.
"""

_base_ = './densecl_resnet50_8xb32-coslr-800e_coco.py'

train_cfg = dict(max_epochs=200)
