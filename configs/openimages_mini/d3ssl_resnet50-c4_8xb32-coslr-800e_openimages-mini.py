"""D3SSL, ResNet-50-C4, OpenImage-MINI, 800 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 3, row D3SSL, and
    Table 4. Settings as on COCO, where they are ours as far as the paper leaves them to a
    supplement that is not public.
Command: proposals first, see README.md; then tools/dist_train.sh
    configs/openimages_mini/d3ssl_resnet50-c4_8xb32-coslr-800e_openimages-mini.py 8
Published: VOC detection 57.9 AP (82.8 AP50, 64.5 AP75); Mask R-CNN C4 40.1 box AP (59.9, 43.4),
    34.8 mask AP (56.5, 36.8); O-KNN 73.1 top-1 (90.1 top-5), disturbed 55.8 (73.4).
Measured: not measured.
"""

_base_ = [
    '../d3ssl/d3ssl_resnet50-c4_8xb32-coslr-800e_coco.py',
    '../_base_/datasets/openimages_mini.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

data_root = _base_.openimages_mini.data_root
train_dataloader = changed(_base_.train_dataloader, _base_.openimages_mini.photos)
