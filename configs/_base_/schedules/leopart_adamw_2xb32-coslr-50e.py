# AdamW, rate 1e-4 for the head and 1e-5 for the backbone, cosine to 0 per iteration, no warm-up,
# no clipping, float32.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.04),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', eta_min=0.0, convert_to_iter_based=True),
    dict(type='WarmupCosine', param_name='weight_decay', eta_min=0.5, convert_to_iter_based=True),
]
