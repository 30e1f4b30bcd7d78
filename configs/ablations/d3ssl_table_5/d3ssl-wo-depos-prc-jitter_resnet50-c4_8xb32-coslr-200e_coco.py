"""D3SSL without the de-positioning loss, with PRC and SoCo's box jitter.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 5, row with PRC
    and box jitter.
Command: tools/dist_train.sh
    configs/ablations/d3ssl_table_5/d3ssl-wo-depos-prc-jitter_resnet50-c4_8xb32-coslr-200e_coco.py 8
Published: VOC detection 54.9 AP.
Measured: not measured.
"""

_base_ = '../../d3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-200e_coco.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

jitter = dict(type='BoxJitter', prob=0.5, ratio=0.1)
x1 = [dict(_base_.prc, key='erase'), jitter]
x2 = [dict(type='EmptyMask', key='erase'), dict(_base_.prc, **_base_.small), jitter]
train_dataloader = changed(
    _base_.train_dataloader, [(dict(type='CommonBoxViews'), dict(finish=[x1, x2]))]
)
