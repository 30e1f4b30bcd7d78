# ORL's SGD for BYOL on COCO, which Self-EMD takes too: rate 0.4 at 8 x 64, decay of all parameters,
# half precision. Warm-up of four epochs from a ten-thousandth of the rate, then cosine to 0, both
# per iteration.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800)
optim_wrapper = dict(
    type='AmpPerParamClipOptimWrapper',
    dtype='float16',
    loss_scale='dynamic',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.4, momentum=0.9, weight_decay=1e-4),
    # Biases and BatchNorm decay as well.
    paramwise_cfg=dict(
        custom_keys=dict(
            backbone=dict(decay_mult=1.0), neck=dict(decay_mult=1.0), head=dict(decay_mult=1.0)
        )
    ),
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_epochs=4,
        warmup_ratio=1e-4,
        peak_twice=False,
        eta_min=0.0,
        convert_to_iter_based=True,
    ),
]
sync_bn = 'torch'
