"""D3SSL without the de-positioning loss and without region augmentations.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 5, first row:
    whole boxes of whole views.
Command: tools/dist_train.sh
    configs/ablations/d3ssl_table_5/d3ssl-wo-depos-plain_resnet50-c4_8xb32-coslr-200e_coco.py 8
Published: VOC detection 54.5 AP.
Measured: not measured.
"""

_base_ = '../../d3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-200e_coco.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

x1 = [dict(type='EmptyMask', key='erase')]
x2 = [dict(type='EmptyMask', key='erase'), dict(type='EmptyMask', **_base_.small)]
train_dataloader = changed(
    _base_.train_dataloader, [(dict(type='CommonBoxViews'), dict(finish=[x1, x2]))]
)
