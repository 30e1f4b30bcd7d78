# Self-EMD with ResNet-50: 7x7 cells, projector 2048-4096-256 and predictor 256-4096-256 as 1x1
# convolutions. On several GPUs `sync_bn = 'torch'` makes every BN a synchronised one.
mlp = dict(
    type='PointMLP',
    hidden_channels=4096,
    out_channels=256,
    num_layers=2,
    act='ReLU',
    last_bias=False,
    # BYOL's heads in mmpretrain and ORL: normal, by fan-in.
    init_cfg=dict(type='Kaiming', layer='Conv2d', mode='fan_in', distribution='normal'),
)
model = dict(
    type='SelfEMD',
    backbone=dict(type='ResNet', depth=50, zero_init_residual=False),
    neck=dict(in_channels=2048, **mlp),
    head=dict(in_channels=256, **mlp),
    epsilon=0.05,
    rounds=10,
    momentum=(0.99, 1.0),
)
