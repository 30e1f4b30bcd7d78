"""SoCo with Region Collaborative Cutout of the proposals, 200 epochs.

Purpose: SoCo-RCC at the length of the papers' ablations.
Command: as SoCo, with configs/soco/soco-rcc_resnet50-c4_16xb64-coslr-200e_coco.py
Costs: a quarter of the run of 800 epochs. Ours: not measured.
Measured: not measured.
"""

_base_ = './soco_resnet50-c4_16xb64-coslr-200e_coco.py'

train_dataloader = dict(dataset=dict(pipeline=_base_.soco_rcc_pipeline))
