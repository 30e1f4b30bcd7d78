# PixPro with ResNet-50: 7x7 cells of 2048 channels at 224 px, projector 2048-4096-256 of every
# cell, one convolution as the transform of the propagation. On several GPUs `sync_bn = 'torch'`
# makes every BN a synchronised one.
model = dict(
    type='PixPro',
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True),
    neck=dict(
        type='PointMLP',
        in_channels=2048,
        hidden_channels=4096,
        out_channels=256,
        num_layers=2,
        act='ReLU',
        init_cfg=[],  # torch's own
    ),
    head=dict(type='PixelPropagation', channels=256, layers=1, power=2.0),
    pos_ratio=0.7,
    momentum=(0.99, 1.0),
)
