# SlotCon's LARS: base rate 1 per 256 images, 2.0 at 8 x 64. Warm-up of five epochs from a hundredth
# of the peak, then cosine, both per iteration.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800)
optim_wrapper = dict(
    type='AmpPerParamClipOptimWrapper',
    dtype='float16',
    loss_scale='dynamic',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='SoCoLARS', lr=2.0, momentum=0.9, weight_decay=1e-5, eps=0.0),
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_epochs=5,
        warmup_ratio=0.01,
        peak_twice=False,
        eta_min=1e-6,
        convert_to_iter_based=True,
    ),
]
sync_bn = 'torch'
