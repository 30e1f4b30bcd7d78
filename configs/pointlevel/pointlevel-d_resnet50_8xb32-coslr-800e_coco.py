"""The point-level baseline with the de-coupling branch, 800 epochs.

Purpose: what de-coupling changes where positives come from places alone. No paper has this row: the
    branch is that of DenseCL-D, "Mind Your Augmentation" (ICLR 2024); the settings are ours.
Command: tools/dist_train.sh configs/pointlevel/pointlevel-d_resnet50_8xb32-coslr-800e_coco.py 8
Measured: not measured.
"""

_base_ = './pointlevel_resnet50_8xb32-coslr-800e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
