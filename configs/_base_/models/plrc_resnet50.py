# PLRC with ResNet-50: 7x7 cells, vectors of 128 for contrast and image, scores with 4096 prototypes
# for distillation on 56x56 points.
model = dict(
    type='PLRC',
    backbone=dict(type='ResNet', depth=50, norm_cfg=dict(type='BN'), zero_init_residual=True),
    neck=dict(
        type='PointMLP',
        in_channels=2048,
        hidden_channels=2048,
        out_channels=128,
        num_layers=2,
        act='ReLU',
        with_norm=False,
        init_cfg=[],  # torch's own
    ),
    head=dict(
        type='PrototypeScores',
        projector=dict(
            type='PointMLP',
            in_channels=2048,
            hidden_channels=2048,
            out_channels=256,
            act='ReLU',
        ),
        num_prototypes=4096,
    ),
    image_weight=0.7,
    contrast_weight=0.3,
    distill_weight=0.3,
    temperature=0.2,
    student_temperature=0.1,
    teacher_temperature=(0.04, 0.07),
    warmup_epochs=30,
    num_points=16,
    point_grid=56,
    distill_grid=56,
    queue_length=65536,
    momentum=(0.999, 0.999),
)
