# D3SSL small enough for a CPU: ResNet-18 of half width at 128 px (C4 of 8x8 cells), x2s at 64 px. A
# teacher that follows within a hundred steps and a queue of 16 steps, because a run has only a few
# hundred. A box takes 4x4 cells of either map: 8x8 of the larger one would more than double the
# time of a step.
model = dict(
    type='D3SSL',
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='MoCoV2Neck',
        in_channels=256,
        hid_channels=256,
        out_channels=128,
        with_avg_pool=False,
    ),
    temperature=0.2,
    queue_length=4096,
    num_boxes=4,
    small_size=64,
    roi_size=4,
    small_roi_size=4,
    momentum=(0.99, 0.99),
)
