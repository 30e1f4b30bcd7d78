# PLRC's three 224 px crops in MoCo v2's colours: query, its partner, which shares at least half of
# the larger one, and key, of a pair of the same kind whose partner is not looked at. Plain, and
# with the masks of the de-coupling branch. Every view has a mask: any view can be a key view.
_base_ = './mocov2_views.py'

crops = dict(
    type='OverlappingPairs',
    num_views=[3],
    pairs=[(0, 1), (2, None)],
    redraw='both',
    min_share=0.5,
    tries=101,
)
# 32 points of one of 4 x 4 parts of the image, in query and key.
points = dict(type='RegionPoints', views=(0, 2), grid=4, map_size=56, num_points=32)
packed = ('crop_box', 'flip', 'ori_shape', 'points')
plrc_pipeline = [
    dict(type='LoadImage'),
    dict(crops, pipelines=[_base_.crop]),
    points,
    dict(type='PackViews', keys=packed),
]
plrc_decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(crops, pipelines=[_base_.crop + _base_.branch_mask]),
    points,
    dict(type='PackViews', keys=(*packed, 'dc_mask')),
]
data_preprocessor = dict(policies=[_base_.colour] * 3)
