# 250 iterations of 32 images on one CPU process.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=250)
optim_wrapper = dict(
    type='PerParamClipOptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='SoCoLARS', lr=1.0, momentum=0.9, weight_decay=1e-5),
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_iters=25,
        warmup_ratio=0.01,
        peak_twice=False,
        eta_min=1e-6,
        by_epoch=False,
    ),
]
