# BYOL with a ResNet-18 of half width for 128 px views on a CPU: 4x4 cells. A teacher that follows
# within some dozen steps, because a run has only a few hundred.
mlp = dict(
    type='NonLinearNeck',
    hid_channels=512,
    out_channels=128,
    with_bias=True,
    with_last_bn=False,
    norm_cfg=dict(type='BN1d'),
)
model = dict(
    type='BYOL',
    backbone=dict(
        type='ResNet', depth=18, stem_channels=32, base_channels=32, zero_init_residual=False
    ),
    neck=dict(in_channels=256, **mlp),
    head=dict(
        type='LatentPredictHead',
        loss=dict(type='CosineSimilarityLoss'),
        predictor=dict(in_channels=128, with_avg_pool=False, **mlp),
    ),
    momentum=(0.97, 1.0),
)
