"""Cascade Mask R-CNN from the small ViT, on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py
    mmdssl convert export \
        work_dirs/ibot_vit-micro-p16_1xb24-250i_scenes/iter_250.pth --to mmdet \
        --out weights/vit-micro-p16_mmdet.pth
    mmdssl train \
        configs/transfer/scenes_detection/cascade-mask-rcnn_vit-micro-p16_1xb4-300i_scenes.py
Costs: 4 minutes of one core, and 2 for the 400 validation scenes.
Measured: box AP50 24.4, mask AP50 24.3 (box AP 12.1, mask AP 13.7), one seed.
"""

_base_ = [
    '../_base_/cascade-mask-rcnn_vit-micro-p16.py',
    '../_base_/scenes_instance.py',
    '../_base_/detection_runtime_300i.py',
    '../_base_/adamw_300i.py',
]

optim_wrapper = dict(
    constructor='mmdssl.LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(decay_rate=0.8)
)
