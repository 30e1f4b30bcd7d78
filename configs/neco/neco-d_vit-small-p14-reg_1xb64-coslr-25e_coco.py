"""NeCo-D: NeCo with the de-coupling branch on its global crops; ours, no paper has it.

Purpose: comparison with NeCo. The branch as "Mind Your Augmentation" (ICLR 2024) sets it for
    Leopart-D: weight 0.3 (convex), 25 % of each global crop, RCC with ratios of 0.3 to 0.5.
Command: the ViT to start from first, see README.md; then
    mmdssl train configs/neco/neco-d_vit-small-p14-reg_1xb64-coslr-25e_coco.py
Costs: not measured.
Measured: not measured.
"""

_base_ = './neco_vit-small-p14-reg_1xb64-coslr-25e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
