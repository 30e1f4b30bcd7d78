"""SoCo (C4), ResNet-50, OpenImage-MINI, 800 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 3, row SoCo, and
    Table 4. Settings as on COCO.
Command: proposals first, see README.md; then as SoCo on COCO, with
    configs/openimages_mini/soco_resnet50-c4_16xb64-coslr-800e_openimages-mini.py
Published: VOC detection 56.9 AP (81.9 AP50, 63.5 AP75); Mask R-CNN C4 38.4 box AP (57.8, 41.5),
    33.4 mask AP (54.6, 35.4); O-KNN 70.2 top-1 (88.3 top-5), disturbed 47.0 (66.1).
Measured: not measured.
"""

_base_ = [
    '../soco/soco_resnet50-c4_16xb64-coslr-800e_coco.py',
    '../_base_/datasets/openimages_mini.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

data_root = _base_.openimages_mini.data_root
train_dataloader = changed(_base_.train_dataloader, _base_.openimages_mini.photos)
