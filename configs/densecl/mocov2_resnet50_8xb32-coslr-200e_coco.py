"""MoCo v2, 200 epochs on COCO.

Purpose: baseline of the 200-epoch runs of DenseCL.
Command: tools/dist_train.sh configs/densecl/mocov2_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Measured: not measured.
"""

_base_ = './mocov2_resnet50_8xb32-coslr-800e_coco.py'

train_cfg = dict(max_epochs=200)
