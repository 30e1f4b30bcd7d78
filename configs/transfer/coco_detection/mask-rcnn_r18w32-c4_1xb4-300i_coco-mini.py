"""Mask R-CNN C4 from the small ResNet, people on COCO photos at 192 px: a CPU, minutes.

Purpose: smoke test of mask-rcnn_r50-c4_8xb2-90k_coco.py on real photos.
Command: mmdssl train configs/coco_mini/densecl_r18w32-128px_1xb32-250i_coco-mini.py
    mmdssl convert export \
        work_dirs/densecl_r18w32-128px_1xb32-250i_coco-mini/iter_250.pth --to mmdet \
        --out weights/r18w32_coco-mini_mmdet.pth
    mmdssl train \
        configs/transfer/coco_detection/mask-rcnn_r18w32-c4_1xb4-300i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout
Costs: 3.5 minutes of one core on 288 photos.
Measured: people: box AP50 1.5, mask AP50 0.5, stopped at iteration 150 and resumed, one seed;
    see README.md beside this file.
"""

_base_ = [
    '../_base_/mask-rcnn_r18w32-c4.py',
    '../_base_/coco_mini_instance.py',
    '../_base_/detection_runtime_300i.py',
    '../_base_/adamw_300i.py',
]

pretrained = 'weights/r18w32_coco-mini_mmdet.pth'
model = dict(
    backbone=dict(init_cfg=dict(checkpoint=pretrained)),
    rpn_head=dict(anchor_generator=dict(scales=[1, 2, 4, 8])),
    roi_head=dict(
        shared_head=dict(init_cfg=dict(checkpoint=pretrained)),
        bbox_head=dict(num_classes=1),
        mask_head=dict(num_classes=1),
    ),
)
