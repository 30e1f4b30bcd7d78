"""ReSim-D in the C4 form, 800 epochs.

Purpose: as ReSim-D, on one map. No paper has this row; form and settings are ours.
Command: tools/dist_train.sh configs/resim/resim-d-c4_resnet50_8xb32-coslr-800e_coco.py 8
Measured: not measured.
"""

_base_ = './resim-c4_resnet50_8xb32-coslr-800e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
