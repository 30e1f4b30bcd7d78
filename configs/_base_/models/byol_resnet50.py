# BYOL with ResNet-50: projector 2048-4096-256 and predictor 256-4096-256, biases in the first layer
# only and no last norm, as in mmpretrain. On several GPUs `sync_bn = 'torch'` makes every BN a
# synchronised one.
init = [
    dict(
        type='Kaiming',
        layer='Linear',
        a=0,
        mode='fan_in',
        nonlinearity='relu',
        distribution='normal',
    ),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]
mlp = dict(
    type='NonLinearNeck',
    hid_channels=4096,
    out_channels=256,
    with_bias=True,
    with_last_bn=False,
    norm_cfg=dict(type='BN1d'),
    init_cfg=init,
)
model = dict(
    type='BYOL',
    backbone=dict(type='ResNet', depth=50, zero_init_residual=False),
    neck=dict(in_channels=2048, **mlp),
    head=dict(
        type='LatentPredictHead',
        loss=dict(type='CosineSimilarityLoss'),
        predictor=dict(in_channels=256, with_avg_pool=False, **mlp),
    ),
    momentum=(0.99, 1.0),
    momentum_step='same',
)
