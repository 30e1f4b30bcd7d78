"""SlotCon-D: SlotCon with the de-coupling branch; ours, no paper has it.

Purpose: comparison with SlotCon. The branch as "Mind Your Augmentation" (ICLR 2024) sets it for
    its hosts: weight 0.3 (convex), RCC with ratios of 0.3 to 0.5 on a 3x3 grid; an eighth of each
    view, a quarter of the batch in total.
Command: tools/dist_train.sh configs/slotcon/slotcon-d_resnet50_8xb64-coslr-800e_coco.py 8
Costs: not measured.
Measured: not measured.
"""

_base_ = './slotcon_resnet50_8xb64-coslr-800e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.125))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
