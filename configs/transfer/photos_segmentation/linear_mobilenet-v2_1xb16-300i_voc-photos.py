"""Linear probe of a frozen MobileNetV2 on a few thousand photos: a CPU core, minutes.

Purpose: the difference that a linear layer sees between two backbones, where no GPU is at hand.
Command: mmdssl convert export CHECKPOINT --to mmseg --out weights/mobilenet-v2_mmseg.pth
    mmdssl train \
        configs/transfer/photos_segmentation/linear_mobilenet-v2_1xb16-300i_voc-photos.py
    photos and label maps in data/photos/voc/, or --cfg-options data_root=FOLDER
Measured: mIoU 15.2 from ImageNet, 3.4 untrained (one seed; configs/photos).
"""

_base_ = [
    '../_base_/probe_vit-small-p16.py',
    '../_base_/voc_photos_224px.py',
    '../_base_/adamw_300i.py',
    '../_base_/segmentation_runtime.py',
]

custom_imports = dict(imports=['mmdssl', 'mmpretrain.models'], allow_failed_imports=False)
pretrained = 'weights/mobilenet-v2_mmseg.pth'
model = dict(
    map_size=56,
    data_preprocessor=dict(size=(224, 224)),
    backbone=dict(
        _delete_=True,
        type='mmpretrain.MobileNetV2',
        out_indices=(7,),
        init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
    ),
    decode_head=dict(in_channels=1280, channels=1280),
)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=100, max_keep_ckpts=1))
