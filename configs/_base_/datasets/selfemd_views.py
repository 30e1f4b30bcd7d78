# Two 224 px views in BYOL's colours, bilinear: plain, and with the masks of the de-coupling branch.
_base_ = './slotcon_views.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

_bilinear = ((dict(interpolation='bicubic'), dict(interpolation='bilinear')),)
view = changed(_base_.crop, _bilinear)
emd_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[view]),
    dict(type='PackViews'),
]
emd_decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[view + _base_.branch_mask]),
    dict(type='PackViews', keys=('dc_mask',)),
]
