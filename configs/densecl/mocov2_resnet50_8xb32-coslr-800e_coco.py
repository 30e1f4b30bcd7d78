"""MoCo v2, ResNet-50, COCO train2017, 800 epochs: DenseCL without its dense half.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 1, row MoCo v2. Its settings on COCO are
    not stated; DenseCL's (rate 0.3 at 256 images) are taken.
Command: tools/dist_train.sh configs/densecl/mocov2_resnet50_8xb32-coslr-800e_coco.py 8
Costs: not published. Ours: not measured.
Published: VOC detection 54.6 AP; Mask R-CNN C4 37.8 box AP, 32.9 mask AP. (The D3SSL paper gives
    54.7, 38.5, 34.7.)
Measured: not measured.
"""

_base_ = './densecl_resnet50_8xb32-coslr-800e_coco.py'

model = dict(loss_lambda=0)
