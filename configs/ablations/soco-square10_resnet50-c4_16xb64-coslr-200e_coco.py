"""SoCo whose squares have 0.1 of the area of a box.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Fig. 8: coupling rises with the mask ratio. Its
    ratios are not stated; 0.1, 0.3, 0.5 and 0.7 are ours, of every second box, as SoCo cuts.
Command: as SoCo (configs/soco/README.md), with
    configs/ablations/soco-square10_resnet50-c4_16xb64-coslr-200e_coco.py
Costs: a quarter of the 800 epochs. Ours: not measured.
Measured: not measured.
"""

_base_ = '../soco/soco_resnet50-c4_16xb64-coslr-200e_coco.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

ratio = ((dict(type='SquareCutout'), dict(ratio=0.1)),)
own_pipeline = changed(_base_.soco_pipeline, ratio)
train_dataloader = dict(dataset=dict(pipeline=own_pipeline))
