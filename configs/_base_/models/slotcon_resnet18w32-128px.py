# SlotCon small enough for a CPU: ResNet-18 of half width, 4x4 cells at 128 px, 32 prototypes.
model = dict(
    type='SlotCon',
    backbone=dict(
        type='ResNet', depth=18, stem_channels=32, base_channels=32, zero_init_residual=True
    ),
    neck=dict(type='PointMLP', in_channels=256, hidden_channels=512, out_channels=128),
    head=dict(type='SlotHead', in_channels=128, num_slots=32, temperature=0.07),
    predictor=dict(
        type='PointMLP', in_channels=128, hidden_channels=512, out_channels=128, conv=False
    ),
    momentum=(0.99, 1.0),
)
