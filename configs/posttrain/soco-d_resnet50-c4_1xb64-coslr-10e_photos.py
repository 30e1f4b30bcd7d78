"""SoCo-D from a ResNet-50 of ImageNet on a folder of your own photos: no labels, one GPU.

Purpose: to teach the boxes of own photos to a classifier, with de-coupling. The backbone learns at
    a hundredth of the rate that it takes from nothing, the new heads at a tenth. The settings are
    ours.
Command: mmdssl proposals PHOTOS PHOTOS/proposals.npz
    mmdssl train soco-d_resnet50-c4_1xb64-coslr-10e_photos
    --cfg-options data_root=PHOTOS model.init=resnet50-11ad3fa6.pth
    or at once: mmdssl pretrain soco-d init=resnet50-11ad3fa6.pth data=PHOTOS out=DIR
    The file: torchvision's, timm's or mmpretrain's ResNet-50, as it is.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/soco_resnet50-c4.py',
    '../_base_/datasets/soco_views.py',
    '../_base_/datasets/proposals.py',
    '../_base_/datasets/photos_folder.py',
    '../_base_/schedules/soco_lars_16xb64-coslr-800e.py',
    '../default_runtime.py',
]

load = [
    dict(type='LoadImage'),
    dict(
        type='LoadProposals',
        file=_base_.data_root + 'proposals.npz',
        expect=_base_.proposals_made_with,
    ),
]
efficiency = dict(channels_last=True)
model = dict(
    init='data/weights/resnet50.pth',
    decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.125),
    data_preprocessor=_base_.data_preprocessor,
)
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=load + _base_.decoupled_steps))
train_cfg = dict(max_epochs=10)
# From nothing: 8.0 at 1024 images a step, 0.5 at 64.
optim_wrapper = dict(
    optimizer=dict(lr=0.05), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))
)
param_scheduler = [
    dict(
        type='WarmupCosine',
        param_name='lr',
        warmup_epochs=1,
        warmup_ratio=0.01,
        peak_twice=False,
        eta_min=0.0,
        convert_to_iter_based=True,
    )
]
custom_hooks = [*_base_.custom_hooks, dict(type='RepresentationHealthHook', interval=50)]
default_hooks = dict(checkpoint=dict(interval=1))
