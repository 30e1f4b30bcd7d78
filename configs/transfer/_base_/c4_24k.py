# 24 000 iterations of 16 images, batch statistics measured exactly before the test at the end
# (200 batches).
_base_ = './c4_90k.py'

train_cfg = dict(max_iters=24000, val_interval=24000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=24000,
        milestones=[18000, 22000],
        gamma=0.1,
    ),
]
precise_bn = dict(interval=24000)
