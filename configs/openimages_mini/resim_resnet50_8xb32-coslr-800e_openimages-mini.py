"""ReSim-FPN, ResNet-50, OpenImage-MINI, 800 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 3, row ReSim, and
    Table 4, trained by the official code, which is that of the FPN form. Settings as on COCO.
Command: tools/dist_train.sh
    configs/openimages_mini/resim_resnet50_8xb32-coslr-800e_openimages-mini.py 8
Published: VOC detection 57.4 AP (82.4 AP50, 64.0 AP75); Mask R-CNN C4 38.9 box AP (58.1, 42.0),
    33.9 mask AP (54.8, 36.2); O-KNN 63.3 top-1 (84.6 top-5), disturbed 45.4 (65.8).
Measured: not measured.
"""

_base_ = [
    '../resim/resim_resnet50_8xb32-coslr-800e_coco.py',
    '../_base_/datasets/openimages_mini.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

data_root = _base_.openimages_mini.data_root
train_dataloader = changed(_base_.train_dataloader, _base_.openimages_mini.photos)
