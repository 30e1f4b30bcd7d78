# AdamW, base rate 1e-3 per 256 images: 2e-3 at 8 x 64. Warm-up and cosine per iteration.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800)
optim_wrapper = dict(
    type='AmpPerParamClipOptimWrapper',
    dtype='float16',
    loss_scale='dynamic',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=0.002, weight_decay=0.04),
    clip_grad=dict(type='per_param', max_norm=3.0),
    freeze=dict(keys=('head.last_layer',), epochs=1),
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_epochs=10,
        eta_min=1e-6,
        convert_to_iter_based=True,
    ),
    dict(type='WarmupCosine', param_name='weight_decay', eta_min=0.4, convert_to_iter_based=True),
]
