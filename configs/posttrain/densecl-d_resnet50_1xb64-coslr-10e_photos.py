"""DenseCL-D from a ResNet-50 of ImageNet on a folder of your own photos: no labels, one GPU.

Purpose: to make the maps of a classifier dense on own photos, with de-coupling. The backbone learns
    at a hundredth of the rate that it takes from nothing, the new neck at a tenth. The settings are
    ours.
Command: mmdssl train densecl-d_resnet50_1xb64-coslr-10e_photos
    --cfg-options data_root=PHOTOS model.init=resnet50-11ad3fa6.pth
    or: mmdssl pretrain densecl-d init=resnet50-11ad3fa6.pth data=PHOTOS out=DIR
    The file: torchvision's, timm's or mmpretrain's ResNet-50, as it is.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/densecl_resnet50.py',
    '../_base_/datasets/mocov2_views.py',
    '../_base_/datasets/photos_folder.py',
    '../_base_/schedules/densecl_sgd_8xb32-coslr-800e.py',
    '../default_runtime.py',
]

efficiency = dict(channels_last=True)
model = dict(
    init='data/weights/resnet50.pth',
    decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25),
    data_preprocessor=_base_.data_preprocessor,
)
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=_base_.decoupled_pipeline))
train_cfg = dict(max_epochs=10)
# From nothing: 0.3 at 256 images a step, 0.075 at 64.
optim_wrapper = dict(
    optimizer=dict(lr=0.0075), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_epochs=1,
        eta_min=0.0,
        convert_to_iter_based=True,
    )
]
custom_hooks = [*_base_.custom_hooks, dict(type='RepresentationHealthHook', interval=50)]
default_hooks = dict(checkpoint=dict(interval=1))
