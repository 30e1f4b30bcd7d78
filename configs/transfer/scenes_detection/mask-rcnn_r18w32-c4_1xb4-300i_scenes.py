"""Mask R-CNN C4 from the small ResNet, on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of mask-rcnn_r50-c4_8xb2-90k_coco.py.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/densecl_r18w32-128px_1xb32-250i_scenes.py
    mmdssl convert export \
        work_dirs/densecl_r18w32-128px_1xb32-250i_scenes/iter_250.pth --to mmdet \
        --out weights/r18w32_mmdet.pth
    mmdssl train configs/transfer/scenes_detection/mask-rcnn_r18w32-c4_1xb4-300i_scenes.py
Costs: 2.5 minutes of one core, and 1 for the 400 validation scenes.
Measured: box AP50 24.0, mask AP50 22.1 (box AP 11.8, mask AP 8.7), one seed.
"""

_base_ = [
    '../_base_/mask-rcnn_r18w32-c4.py',
    '../_base_/scenes_instance.py',
    '../_base_/detection_runtime_300i.py',
    '../_base_/adamw_300i.py',
]
