"""iBOT-D from DINOv2-S/14 on a folder of your own photos: no labels, one GPU.

Purpose: to go on from DINOv2 on own photos with masked patches and de-coupling. Teacher and student
    start as the given net, the head is new and learns ten times as fast. The settings are ours.
Command: mmdssl convert import dinov2_vits14_pretrain.pth --out data/weights/dinov2_vits14.pth
    mmdssl train ibot-d_dinov2-small-p14_1xb64-coslr-10e_photos --cfg-options data_root=PHOTOS
    or at once: mmdssl pretrain ibot-d init=dinov2_vits14_pretrain.pth data=PHOTOS out=DIR
Measured: not measured.
"""

_base_ = [
    '../_base_/models/ibot_vit-small-p16.py',
    '../_base_/datasets/ibot_views.py',
    '../_base_/datasets/photos_folder.py',
    '../_base_/schedules/ibot_adamw_8xb64-coslr-800e.py',
    '../default_runtime.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

# 16 x 16 patches of 14 px in 224 px; the position table stays that of 518 px.
cells = (dict(mask_size=(14, 14)), dict(mask_size=(16, 16)))
model = dict(
    init='data/weights/dinov2_vits14.pth',
    backbone=dict(patch_size=14, img_size=518, layer_scale_init_value=1e-5),
    loss=dict(warmup_epochs=3),
    decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25),
    data_preprocessor=_base_.data_preprocessor,
)
train_dataloader = dict(
    batch_size=64, dataset=dict(pipeline=changed(_base_.decoupled_pipeline, [cells]))
)
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
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
