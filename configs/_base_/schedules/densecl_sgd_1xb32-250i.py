# 250 iterations of 32 images on one CPU process, cosine by iteration after a short warm-up.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=250)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(decay_mult=1.0), neck=dict(decay_mult=1.0))),
)
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', warmup_iters=20, eta_min=0.0, by_epoch=False)
]
