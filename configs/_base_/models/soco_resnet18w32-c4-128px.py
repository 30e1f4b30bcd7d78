# SoCo with a ResNet-18 of half width for 128 px views on a CPU: C4 is 8x8 there, a box takes 4x4
# cells of it.
mlp = dict(
    type='NonLinearNeck',
    hid_channels=512,
    out_channels=128,
    with_bias=True,
    with_last_bias=True,
    with_last_bn=False,
    with_avg_pool=False,
    norm_cfg=dict(type='BN1d'),
)
model = dict(
    type='SoCo',
    backbone=dict(
        type='ResNet', depth=18, stem_channels=32, base_channels=32, zero_init_residual=True
    ),
    neck=dict(in_channels=256, **mlp),
    head=dict(in_channels=128, **mlp),
    roi_size=4,
    momentum=(0.99, 1.0),
)
