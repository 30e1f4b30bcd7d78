# PLRC small enough for a CPU: ResNet-18 of half width, 4x4 cells at 128 px, 256 prototypes, pairs
# on 16x16 points. Temperatures rise over the first of the epochs.
model = dict(
    type='PLRC',
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        norm_cfg=dict(type='BN'),
        zero_init_residual=True,
    ),
    neck=dict(
        type='PointMLP',
        in_channels=256,
        hidden_channels=256,
        out_channels=128,
        num_layers=2,
        act='ReLU',
        with_norm=False,
        init_cfg=[],
    ),
    head=dict(
        type='PrototypeScores',
        projector=dict(
            type='PointMLP', in_channels=256, hidden_channels=256, out_channels=64, act='ReLU'
        ),
        num_prototypes=256,
    ),
    warmup_epochs=1,
    point_grid=16,
    distill_grid=16,
    queue_length=1024,
    momentum=(0.99, 0.99),
)
