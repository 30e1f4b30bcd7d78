"""SoCo (C4), ResNet-50, COCO train2017, 200 epochs: the length of the ablations.

Purpose: the setting of D3SSL's Table 6, on COCO in place of OpenImage-MINI.
Command: as the 800 epochs, with configs/soco/soco_resnet50-c4_16xb64-coslr-200e_coco.py
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: on OpenImage-MINI 55.3 VOC AP, inter-object coupling 1.31.
Measured: not measured.
"""

_base_ = './soco_resnet50-c4_16xb64-coslr-800e_coco.py'

train_cfg = dict(max_epochs=200)
