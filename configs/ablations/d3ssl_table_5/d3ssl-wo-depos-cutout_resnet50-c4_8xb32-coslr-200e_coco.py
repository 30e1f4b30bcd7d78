"""D3SSL without the de-positioning loss, with SoCo's random cutout alone.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 5, row with
    random cutout. That it is on the views that PRC cuts otherwise is our reading.
Command: tools/dist_train.sh
    configs/ablations/d3ssl_table_5/d3ssl-wo-depos-cutout_resnet50-c4_8xb32-coslr-200e_coco.py 8
Published: VOC detection 54.6 AP.
Measured: not measured.
"""

_base_ = '../../d3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-200e_coco.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

mask = dict(type='SquareCutout', ratio=(0.1, 0.3), prob=0.5, regions_key='regions')
x1 = [dict(mask, key='erase')]
x2 = [dict(type='EmptyMask', key='erase'), dict(mask, **_base_.small)]
train_dataloader = changed(
    _base_.train_dataloader, [(dict(type='CommonBoxViews'), dict(finish=[x1, x2]))]
)
