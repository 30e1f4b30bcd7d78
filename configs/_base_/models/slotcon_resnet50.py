# SlotCon with ResNet-50: 7x7 cells, projector 2048-4096-4096-256, 256 prototypes as on COCO. On
# several GPUs `sync_bn = 'torch'` makes every BN a synchronised one.
model = dict(
    type='SlotCon',
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True),
    neck=dict(type='PointMLP', in_channels=2048, hidden_channels=4096, out_channels=256),
    head=dict(type='SlotHead', in_channels=256, num_slots=256, temperature=0.07),
    predictor=dict(
        type='PointMLP', in_channels=256, hidden_channels=4096, out_channels=256, conv=False
    ),
    group_weight=0.5,
    student_temperature=0.1,
    teacher_temperature=0.07,
    contrast_temperature=0.2,
    centre_momentum=0.9,
    momentum=(0.99, 1.0),
)
