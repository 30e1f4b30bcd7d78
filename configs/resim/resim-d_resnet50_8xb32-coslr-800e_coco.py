"""ReSim-D: ReSim-FPN with the de-coupling branch, 800 epochs.

Purpose: what de-coupling changes in ReSim. No paper has this row: branch and masks are those of
    "Mind Your Augmentation" (ICLR 2024), with its rule for regions (box AND foreground); the
    settings are ours.
Command: tools/dist_train.sh configs/resim/resim-d_resnet50_8xb32-coslr-800e_coco.py 8
Measured: not measured.
"""

_base_ = './resim_resnet50_8xb32-coslr-800e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
