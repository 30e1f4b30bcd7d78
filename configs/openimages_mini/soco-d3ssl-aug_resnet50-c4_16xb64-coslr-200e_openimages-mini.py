"""SoCo with D3SSL's region augmentations, OpenImage-MINI, 200 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 6, row SoCo +
    Aug: PRC, PRM and RBJ at once, the only row of them that there is. On which views the paper does
    not say: both here, in place of the cutout of the second.
Command: proposals first, see README.md; then as SoCo on COCO, with
    configs/openimages_mini/soco-d3ssl-aug_resnet50-c4_16xb64-coslr-200e_openimages-mini.py
Published: VOC detection 55.8 AP (81.2 AP50, 62.1 AP75); coupling ratio 1.20.
Measured: not measured.
"""

_base_ = [
    '../soco/soco-d3ssl-aug_resnet50-c4_16xb64-coslr-200e_coco.py',
    '../_base_/datasets/openimages_mini.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

data_root = _base_.openimages_mini.data_root
train_dataloader = changed(_base_.train_dataloader, _base_.openimages_mini.photos)
