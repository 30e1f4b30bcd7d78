# SoCo with ResNet-50: boxes are cut out of C4, layer4 is their head; projector 2048-4096-256,
# predictor 256-4096-256. On several GPUs `sync_bn = 'torch'` makes every BN a synchronised one.
mlp = dict(
    type='NonLinearNeck',
    hid_channels=4096,
    out_channels=256,
    with_bias=True,
    with_last_bias=True,
    with_last_bn=False,
    with_avg_pool=False,
    norm_cfg=dict(type='BN1d'),
)
model = dict(
    type='SoCo',
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True),
    neck=dict(in_channels=2048, **mlp),
    head=dict(in_channels=256, **mlp),
    roi_size=14,
    momentum=(0.99, 1.0),
)
