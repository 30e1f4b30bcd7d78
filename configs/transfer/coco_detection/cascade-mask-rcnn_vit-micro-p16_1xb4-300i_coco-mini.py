"""Cascade Mask R-CNN from the small ViT, people on COCO photos at 192 px: a CPU, minutes.

Purpose: smoke test of
    cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py on real photos.
Command: mmdssl train configs/coco_mini/ibot_vit-micro-p16_1xb32-400i_coco-mini.py
    mmdssl convert export \
        work_dirs/ibot_vit-micro-p16_1xb32-400i_coco-mini/iter_400.pth --to mmdet \
        --out weights/vit-micro-p16_coco-mini_mmdet.pth
    mmdssl train \
        configs/transfer/coco_detection/cascade-mask-rcnn_vit-micro-p16_1xb4-300i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout
Costs: 6 minutes of one core on 288 photos.
Measured: people: box AP50 1.2, mask AP50 0.2, stopped at iteration 150 and resumed, one seed;
    see README.md beside this file.
"""

_base_ = [
    '../_base_/cascade-mask-rcnn_vit-micro-p16.py',
    '../_base_/coco_mini_instance.py',
    '../_base_/detection_runtime_300i.py',
    '../_base_/adamw_300i.py',
]

pretrained = 'weights/vit-micro-p16_coco-mini_mmdet.pth'
model = dict(
    backbone=dict(init_cfg=dict(checkpoint=pretrained)),
    roi_head=dict(
        bbox_head=[dict(head, num_classes=1) for head in _base_.model.roi_head.bbox_head],
        mask_head=dict(num_classes=1),
    ),
)
optim_wrapper = dict(
    constructor='mmdssl.LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(decay_rate=0.8)
)
