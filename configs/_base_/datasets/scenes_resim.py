# Generated scenes in ReSim's views: both mirrored or neither, decided before they are cropped. Each
# view has its place in the image.
_base_ = './scenes_mocov2.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

_flip = _base_.crop[1]
_place = ('crop_box', 'flip')
_packed = (
    (dict(type='PackViews'), dict(keys=_place)),
    (dict(type='PackViews', keys=('dc_mask',)), dict(keys=(*_place, 'dc_mask'))),
)


def _flipped_first(pipeline):
    load, views, pack = changed(pipeline, _packed)
    (one,) = views['pipelines']
    return [load, _flip, dict(views, pipelines=[[step for step in one if step != _flip]]), pack]


plain_pipeline = _flipped_first(_base_.plain_pipeline)
decoupled_pipeline = _flipped_first(_base_.decoupled_pipeline)
train_dataloader = dict(dataset=dict(pipeline=plain_pipeline))
data_preprocessor = dict(aug_order='ibot_d')  # the blur comes before the jitter
