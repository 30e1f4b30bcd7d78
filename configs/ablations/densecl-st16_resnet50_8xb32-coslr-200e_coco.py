"""DenseCL that pairs each cell with the 16th most similar one of the key view.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Fig. 9, S-T/@n: coupling rises as pairs get less
    exact. Its n are not stated; 4 and 16 are ours.
Command: tools/dist_train.sh configs/ablations/densecl-st16_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Measured: not measured.
"""

_base_ = '../densecl/densecl_resnet50_8xb32-coslr-200e_coco.py'

model = dict(correspondence=16)
