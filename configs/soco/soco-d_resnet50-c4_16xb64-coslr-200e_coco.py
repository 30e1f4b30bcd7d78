"""SoCo-D: SoCo with the de-coupling branch, 200 epochs.

Purpose: comparison with the 200 epochs of SoCo, de-coupled as in the 800.
Command: as SoCo, with configs/soco/soco-d_resnet50-c4_16xb64-coslr-200e_coco.py
Costs: a quarter of the 800 epochs. Ours: not measured.
Measured: not measured.
"""

_base_ = './soco_resnet50-c4_16xb64-coslr-200e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.125))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
