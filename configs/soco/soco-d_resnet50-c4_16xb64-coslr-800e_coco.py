"""SoCo-D: SoCo with the de-coupling branch, 800 epochs.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Tables 1 and 3, row SoCo-D. The masks cut the
    proposals instead of a grid. An eighth of either view is de-coupled, 0.25 B in total, the amount
    and the cost of Table 8; a quarter of either: --cfg-options model.decoupling.sample_ratio=0.25.
Command: as SoCo, with configs/soco/soco-d_resnet50-c4_16xb64-coslr-800e_coco.py
Costs: published 30 hours on 8 RTX 3090 (SoCo 27). Ours: not measured.
Published: Mask R-CNN R50-C4 on COCO 40.3 box AP, 35.1 mask AP; Faster R-CNN on VOC 57.8 AP (these
    nine numbers equal those of D3SSL in its own paper); O-KNN 75.8 top-1, disturbed 47.8.
Measured: not measured.
"""

_base_ = './soco_resnet50-c4_16xb64-coslr-800e_coco.py'

model = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.125))
train_dataloader = dict(dataset=dict(pipeline=_base_.decoupled_pipeline))
