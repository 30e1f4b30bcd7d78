# AdamW, base rate 3e-4 per 256 images: 1.2e-3 at 8 x 128. A tenth of the epochs warm up, then a
# cosine, both per iteration; no clipping, no decay of the alignment matrix.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800)
optim_wrapper = dict(
    type='AmpPerParamClipOptimWrapper',
    dtype='float16',
    loss_scale='dynamic',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1.2e-3, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(custom_keys={'head.matrix': dict(decay_mult=0.0)}),
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_epochs=80,
        peak_twice=False,
        eta_min=1e-5,
        convert_to_iter_based=True,
    ),
]
