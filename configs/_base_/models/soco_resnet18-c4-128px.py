# SoCo with ResNet-18 for 128 px views on a CPU: C4 is 8 x 8 there, a box takes 4 x 4 cells of it.
mlp = dict(
    type='NonLinearNeck',
    hid_channels=1024,
    out_channels=128,
    with_bias=True,
    with_last_bias=True,
    with_last_bn=False,
    with_avg_pool=False,
    norm_cfg=dict(type='BN1d'),
)
model = dict(
    type='SoCo',
    backbone=dict(type='ResNet', depth=18, zero_init_residual=True),
    neck=dict(in_channels=512, **mlp),
    head=dict(in_channels=128, **mlp),
    roi_size=4,
    momentum=(0.99, 1.0),
)
