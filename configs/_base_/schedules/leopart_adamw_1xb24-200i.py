# 200 iterations of 24 images on one CPU process: ten times the published rates, as the run is
# some hundred times shorter.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=200)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', eta_min=0.0, by_epoch=False),
    dict(type='WarmupCosine', param_name='weight_decay', eta_min=0.5, by_epoch=False),
]
