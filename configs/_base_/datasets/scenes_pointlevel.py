# Generated scenes in MoCo v2's views, each with its place in the image.
_base_ = './scenes_mocov2.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

_place = ('crop_box', 'flip', 'ori_shape')
_packed = (
    (dict(type='PackViews'), dict(keys=_place)),
    (dict(type='PackViews', keys=('dc_mask',)), dict(keys=(*_place, 'dc_mask'))),
)
plain_pipeline = changed(_base_.plain_pipeline, _packed)
decoupled_pipeline = changed(_base_.decoupled_pipeline, _packed)
train_dataloader = dict(dataset=dict(pipeline=plain_pipeline))
