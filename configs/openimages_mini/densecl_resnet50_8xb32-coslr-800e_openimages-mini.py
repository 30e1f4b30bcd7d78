"""DenseCL, ResNet-50, OpenImage-MINI, 800 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 3, row DenseCL,
    and Table 4. Settings as on COCO.
Command: tools/dist_train.sh
    configs/openimages_mini/densecl_resnet50_8xb32-coslr-800e_openimages-mini.py 8
Published: VOC detection 57.1 AP (82.0 AP50, 63.3 AP75); Mask R-CNN C4 39.0 box AP (58.6, 42.0),
    34.0 mask AP (55.2, 36.5); O-KNN 65.2 top-1 (86.1 top-5), disturbed 44.8 (64.5).
Measured: not measured.
"""

_base_ = [
    '../densecl/densecl_resnet50_8xb32-coslr-800e_coco.py',
    '../_base_/datasets/openimages_mini.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

data_root = _base_.openimages_mini.data_root
train_dataloader = changed(_base_.train_dataloader, _base_.openimages_mini.photos)
