# SGD as in DenseCL's COCO runs: rate 0.3 at 8 x 32, cosine to 0 by epoch, no warm-up, float32.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.3, momentum=0.9, weight_decay=1e-4),
    # The official code decays biases and BatchNorm as well.
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(decay_mult=1.0), neck=dict(decay_mult=1.0))),
)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True)]
