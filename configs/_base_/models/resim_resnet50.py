# ReSim with ResNet-50, FPN form: maps of 14x14 and 28x28 cells of 256 channels at 224 px, vectors
# of 128 of whole views.
model = dict(
    type='ReSim',
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='MoCoV2Neck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        with_avg_pool=True,
        init_cfg=[],  # torch's own
    ),
    head=dict(
        type='WindowPyramid', in_channels=(512, 1024, 2048), out_channels=256, levels=('c4', 'c3')
    ),
    temperature=0.2,
    queue_length=65536,
    momentum=(0.999, 0.999),
)
