# D3SSL on ResNet-50: SoCo's C4 encoder of regions with MoCo v2's projector and queue.
model = dict(
    type='D3SSL',
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='SyncBN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='MoCoV2Neck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        with_avg_pool=False,
    ),
    temperature=0.2,
    queue_length=65536,
    num_boxes=4,
    small_size=112,
    roi_size=14,
    small_roi_size=7,
    momentum=(0.999, 0.999),
)
