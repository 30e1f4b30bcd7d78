# DenseCL on ResNet-50: 7x7 cells of 2048 channels at 224 px, vectors of 128.
model = dict(
    type='DenseCL',
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='DenseCLNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        init_cfg=dict(
            type='Kaiming',
            layer='Linear',
            a=0,
            mode='fan_in',
            nonlinearity='relu',
            distribution='normal',
        ),
    ),
    loss_lambda=0.5,
    temperature=0.2,
    queue_length=65536,
    momentum=(0.999, 0.999),
)
