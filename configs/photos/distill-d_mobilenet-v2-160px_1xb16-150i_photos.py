"""A given MobileNetV2 is de-coupled on photos by distilling itself: a CPU core, minutes.

Purpose: whether a short run makes given features lean less on the background.
Command: mmdssl train configs/photos/distill-d_mobilenet-v2-160px_1xb16-150i_photos.py
    --cfg-options data_root=PHOTOS model.init=FILE
    FILE: mmpretrain's mobilenet_v2_batch256_imagenet, or any other of this backbone
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/datasets/photos_one_view.py',
    '../_base_/datasets/photos_object_knn.py',
    '../default_runtime.py',
]

model = dict(
    type='DenseDistillation',
    backbone=dict(type='MobileNetV2'),
    init='mobilenet_v2_imagenet.pth',
    norm_eval=True,
    decoupling=dict(type='DecouplingBranch', weight=0.5, sample_ratio=1.0, complement_ratio=1.0),
    data_preprocessor=_base_.data_preprocessor,
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=150)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='SelfSupOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', warmup_iters=15, eta_min=0.0, by_epoch=False)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=150, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
