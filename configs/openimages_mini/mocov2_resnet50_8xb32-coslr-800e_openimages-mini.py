"""MoCo v2, ResNet-50, OpenImage-MINI, 800 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 3, row MoCo v2,
    and Table 4. Settings as on COCO.
Command: tools/dist_train.sh
    configs/openimages_mini/mocov2_resnet50_8xb32-coslr-800e_openimages-mini.py 8
Published: VOC detection 54.5 AP (81.0 AP50, 60.2 AP75); Mask R-CNN C4 38.1 box AP (57.4, 41.1),
    33.1 mask AP (54.3, 35.3); O-KNN 68.3 top-1 (86.5 top-5), disturbed 53.1 (72.0).
Measured: not measured.
"""

_base_ = [
    '../densecl/mocov2_resnet50_8xb32-coslr-800e_coco.py',
    '../_base_/datasets/openimages_mini.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

data_root = _base_.openimages_mini.data_root
train_dataloader = changed(_base_.train_dataloader, _base_.openimages_mini.photos)
