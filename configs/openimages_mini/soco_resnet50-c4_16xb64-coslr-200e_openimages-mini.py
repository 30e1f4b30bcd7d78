"""SoCo (C4), ResNet-50, OpenImage-MINI, 200 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 6, row SoCo.
Command: proposals first, see README.md; then as SoCo on COCO, with
    configs/openimages_mini/soco_resnet50-c4_16xb64-coslr-200e_openimages-mini.py
Published: VOC detection 55.3 AP (80.4 AP50, 61.6 AP75); coupling ratio 1.31.
Measured: not measured.
"""

_base_ = './soco_resnet50-c4_16xb64-coslr-800e_openimages-mini.py'

train_cfg = dict(max_epochs=200)
