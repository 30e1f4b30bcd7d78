# PixPro with a ResNet-18 of half width for 128 px views on a CPU: 4x4 cells.
model = dict(
    type='PixPro',
    backbone=dict(
        type='ResNet', depth=18, stem_channels=32, base_channels=32, zero_init_residual=True
    ),
    neck=dict(
        type='PointMLP',
        in_channels=256,
        hidden_channels=512,
        out_channels=128,
        num_layers=2,
        act='ReLU',
        init_cfg=[],
    ),
    head=dict(type='PixelPropagation', channels=128),
    momentum=(0.99, 1.0),
)
