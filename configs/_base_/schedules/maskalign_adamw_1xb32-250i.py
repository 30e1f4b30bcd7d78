# 250 iterations of 32 images on one CPU process, of which 25 warm up.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=250)
optim_wrapper = dict(
    type='PerParamClipOptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(custom_keys={'head.matrix': dict(decay_mult=0.0)}),
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_iters=25,
        peak_twice=False,
        eta_min=1e-5,
        by_epoch=False,
    ),
]
