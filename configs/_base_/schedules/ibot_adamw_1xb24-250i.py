# 250 iterations of 24 images on one CPU process; warm-up 60 iterations, constant weight decay.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=250)
optim_wrapper = dict(
    type='PerParamClipOptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.04),
    clip_grad=dict(type='per_param', max_norm=3.0),
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_iters=60,
        eta_min=1e-6,
        by_epoch=False,
    )
]
