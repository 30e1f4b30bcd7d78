# DenseCL small enough for a CPU: ResNet-18 of half width, 4x4 cells at 128 px. A teacher that
# follows within a hundred steps and a queue of 32 batches, because a run has only a few hundred.
model = dict(
    type='DenseCL',
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(type='DenseCLNeck', in_channels=256, hid_channels=256, out_channels=128),
    loss_lambda=0.5,
    temperature=0.2,
    queue_length=1024,
    momentum=(0.99, 0.99),
)
