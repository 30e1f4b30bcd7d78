"""Leopart-D from DINOv2-S/14 on a folder of your own photos: no labels, one GPU.

Purpose: to go on from DINOv2 on own photos by clustering its patches, with de-coupling. Leopart's
    rates and crops, those of 14 px patches (224 and 98 px), a fifth of its epochs.
Command: mmdssl convert import dinov2_vits14_pretrain.pth --out data/weights/dinov2_vits14.pth
    mmdssl train leopart-d_dinov2-small-p14_1xb32-coslr-10e_photos --cfg-options data_root=PHOTOS
    or at once: mmdssl pretrain leopart-d init=dinov2_vits14_pretrain.pth data=PHOTOS out=DIR
Measured: not measured.
"""

_base_ = [
    '../_base_/models/leopart_vit-small-p16.py',
    '../_base_/datasets/leopart_views.py',
    '../_base_/datasets/photos_folder.py',
    '../_base_/schedules/leopart_adamw_2xb32-coslr-50e.py',
    '../default_runtime.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

small = (dict(size=96), dict(size=98))
cells = (dict(mask_size=(14, 14)), dict(mask_size=(16, 16)))  # 224 px / 14 px patches
model = dict(
    init='data/weights/dinov2_vits14.pth',
    # The mask token is not used, and kept for whoever goes on from here.
    backbone=dict(patch_size=14, img_size=518, layer_scale_init_value=1e-5, with_mask_token=True),
    decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25),
    data_preprocessor=_base_.data_preprocessor,
)
train_dataloader = dict(
    batch_size=32, dataset=dict(pipeline=changed(_base_.decoupled_pipeline, [small, cells]))
)
train_cfg = dict(max_epochs=10)
custom_hooks = [*_base_.custom_hooks, dict(type='RepresentationHealthHook', interval=50)]
default_hooks = dict(checkpoint=dict(interval=1))
