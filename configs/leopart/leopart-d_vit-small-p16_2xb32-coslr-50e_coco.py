"""Leopart-D: Leopart with the de-coupling branch on its global crops.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 7, row Leopart-D: convex weight 0.3, 25 %
    of each global crop de-coupled. The ratio of the masks, U(0.3, 0.5), is that of the paper; how
    the cells of a batch are averaged is not stated (here: all alike).
Command: the ViT to start from first, see README.md; then
    tools/dist_train.sh configs/leopart/leopart-d_vit-small-p16_2xb32-coslr-50e_coco.py 2
Costs: not published. Ours: not measured.
Published: VOC linear 66.5, FCN 68.9, K=500 48.2 mIoU; COCO-Stuff linear 53.2, K=500 45.3.
Measured: not measured.
"""

_base_ = './leopart_vit-small-p16_2xb32-coslr-50e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
