# Self-EMD small enough for a CPU: ResNet-18 of half width, 4x4 cells at 128 px.
mlp = dict(
    type='PointMLP',
    hidden_channels=512,
    out_channels=128,
    num_layers=2,
    act='ReLU',
    last_bias=False,
    init_cfg=dict(type='Kaiming', layer='Conv2d', mode='fan_in', distribution='normal'),
)
model = dict(
    type='SelfEMD',
    backbone=dict(
        type='ResNet', depth=18, stem_channels=32, base_channels=32, zero_init_residual=False
    ),
    neck=dict(in_channels=256, **mlp),
    head=dict(in_channels=128, **mlp),
    momentum=(0.99, 1.0),
)
