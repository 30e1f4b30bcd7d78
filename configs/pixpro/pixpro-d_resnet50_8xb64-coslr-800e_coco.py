"""PixPro-D: PixPro with the de-coupling branch, 800 epochs.

Purpose: what de-coupling changes in PixPro. No paper has this row: branch and masks are those of
    "Mind Your Augmentation" (ICLR 2024), and the settings are ours. An eighth of either view is
    de-coupled, a quarter of a batch in total, as for SoCo-D.
Command: tools/dist_train.sh configs/pixpro/pixpro-d_resnet50_8xb64-coslr-800e_coco.py 8
    Cells of X^D that gather from the foreground only: --cfg-options model.ppm_scope=foreground
Measured: not measured.
"""

_base_ = './pixpro_resnet50_8xb64-coslr-800e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.125))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
