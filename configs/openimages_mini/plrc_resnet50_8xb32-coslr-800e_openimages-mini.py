"""PLRC, ResNet-50, OpenImage-MINI, 800 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 3, row PLRC,
    trained by the official code, the slips of which are corrected here (configs/plrc/README.md);
    with those of them that can be run: --cfg-options model.release_quirks=all. Settings as on COCO.
Command: tools/dist_train.sh
    configs/openimages_mini/plrc_resnet50_8xb32-coslr-800e_openimages-mini.py 8
Published: VOC detection 53.7 AP (80.0 AP50, 58.8 AP75); Mask R-CNN C4 36.5 box AP (55.2, 38.8),
    31.7 mask AP (51.9, 33.7).
Measured: not measured.
"""

_base_ = [
    '../plrc/plrc_resnet50_8xb32-coslr-800e_coco.py',
    '../_base_/datasets/openimages_mini.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

data_root = _base_.openimages_mini.data_root
train_dataloader = changed(_base_.train_dataloader, _base_.openimages_mini.photos)
