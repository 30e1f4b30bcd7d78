"""ReSim-C4, ResNet-50, COCO train2017, 800 epochs.

Purpose: the row ReSim of "Mind Your Augmentation" (ICLR 2024), Table 1, which its authors trained
    themselves. Of the C4 form the authors of ReSim released ImageNet weights and no code: one 1x1
    convolution of C4 in place of the FPN is our reading, and the schedule is ours (DenseCL's).
Command: tools/dist_train.sh configs/resim/resim-c4_resnet50_8xb32-coslr-800e_coco.py 8
Published: VOC detection 56.6 AP; Mask R-CNN C4 38.3 box AP, 33.5 mask AP (form and settings not
    given).
Measured: not measured.
"""

_base_ = './resim_resnet50_8xb32-coslr-800e_coco.py'

model = dict(
    backbone=dict(out_indices=(2, 3)),
    head=dict(in_channels=(1024,), levels=('c4',)),
)
