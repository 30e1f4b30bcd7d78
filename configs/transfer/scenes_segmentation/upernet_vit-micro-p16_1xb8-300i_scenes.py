"""UPerNet from the small ViT, on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of upernet_vit-small-p16_8xb2-160k_ade20k-512x512.py.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py
    mmdssl convert export \
        work_dirs/ibot_vit-micro-p16_1xb24-250i_scenes/iter_250.pth --to mmseg \
        --out weights/vit-micro-p16_mmseg.pth
    mmdssl train \
        configs/transfer/scenes_segmentation/upernet_vit-micro-p16_1xb8-300i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/upernet_vit-micro-p16.py',
    '../_base_/scenes_semantic.py',
    '../_base_/adamw_300i.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    data_preprocessor=dict(bgr_to_rgb=False),  # LoadImage gives RGB
    decode_head=dict(num_classes=17),
    auxiliary_head=dict(num_classes=17),
    test_cfg=dict(_delete_=True, mode='whole'),  # every image is one crop
)
optim_wrapper = dict(
    constructor='mmdssl.LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(decay_rate=0.9)
)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=100, max_keep_ckpts=1))
