# ReSim small enough for a CPU: ResNet-18 of half width, maps of 8x8 and 16x16 cells at 128 px. A
# teacher that follows within a hundred steps and a queue of 32 batches, because a run has only a
# few hundred.
model = dict(
    type='ReSim',
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(type='MoCoV2Neck', in_channels=256, hid_channels=256, out_channels=128),
    head=dict(type='WindowPyramid', in_channels=(64, 128, 256), out_channels=128),
    temperature=0.2,
    queue_length=1024,
    momentum=(0.99, 0.99),
)
