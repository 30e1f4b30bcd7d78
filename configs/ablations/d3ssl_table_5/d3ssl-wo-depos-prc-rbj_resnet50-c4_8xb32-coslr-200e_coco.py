"""D3SSL without the de-positioning loss, with PRC and RBJ.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 5, row with PRC
    and RBJ; with PRM as well it is configs/d3ssl, without L_dp.
Command: tools/dist_train.sh
    configs/ablations/d3ssl_table_5/d3ssl-wo-depos-prc-rbj_resnet50-c4_8xb32-coslr-200e_coco.py 8
Published: VOC detection 55.2 AP.
Measured: not measured.
"""

_base_ = '../../d3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-200e_coco.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

x1 = [dict(_base_.prc, key='erase'), _base_.rbj]
x2 = [dict(type='EmptyMask', key='erase'), dict(_base_.prc, **_base_.small), _base_.rbj]
train_dataloader = changed(
    _base_.train_dataloader, [(dict(type='CommonBoxViews'), dict(finish=[x1, x2]))]
)
