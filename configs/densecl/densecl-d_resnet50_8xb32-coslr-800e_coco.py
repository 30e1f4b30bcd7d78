"""DenseCL-D: DenseCL with the de-coupling branch.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Tables 1 and 3, row DenseCL-D. From the paper:
    weight 0.3 (convex), a quarter of the key views, RCC with ratios of 0.3 to 0.5 on a 3x3 grid.
    Not stated there: masks in pixels, and a cell of the 7x7 map counts as foreground if at least
    half of it is kept (`foreground_threshold`).
Command: tools/dist_train.sh configs/densecl/densecl-d_resnet50_8xb32-coslr-800e_coco.py 8
Costs: published 32 hours on 8 RTX 3090 (DenseCL 29). Ours: not measured.
Published: VOC detection 57.2 AP; Mask R-CNN C4 39.3 box AP, 34.2 mask AP; O-KNN 74.5 top-1,
    disturbed 45.1.
Measured: not measured.
"""

_base_ = './densecl_resnet50_8xb32-coslr-800e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
