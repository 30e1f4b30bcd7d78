"""PLRC-D: PLRC with the de-coupling branch; ours, no paper has it.

Purpose: comparison with PLRC. The branch as "Mind Your Augmentation" (ICLR 2024) sets it for
    DenseCL-D: weight 0.3 (convex), a quarter of the key views, RCC with ratios of 0.3 to 0.5 on a
    3x3 grid.
Command: tools/dist_train.sh configs/plrc/plrc-d_resnet50_8xb32-coslr-800e_coco.py 8
Costs: not measured.
Measured: not measured.
"""

_base_ = './plrc_resnet50_8xb32-coslr-800e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.plrc_decoupled_pipeline))
