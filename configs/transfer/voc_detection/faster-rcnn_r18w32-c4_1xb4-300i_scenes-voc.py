"""Faster R-CNN C4 from the small ResNet, on generated scenes in VOC's layout: a CPU, minutes.

Purpose: CPU-sized version of faster-rcnn_r50-c4_8xb2-24k_voc0712.py: norm behind
    layer4, batch statistics measured before the test, 10 IoU thresholds, 11-point rule.
Command: mmdssl scenes data/scenes --voc data/scenes_voc
    mmdssl train configs/scenes/densecl_r18w32-128px_1xb32-250i_scenes.py
    mmdssl convert export \
        work_dirs/densecl_r18w32-128px_1xb32-250i_scenes/iter_250.pth --to mmdet \
        --out weights/r18w32_mmdet.pth
    mmdssl train \
        configs/transfer/voc_detection/faster-rcnn_r18w32-c4_1xb4-300i_scenes-voc.py
Costs: 2.5 minutes of one core, and half a one for the 400 test scenes.
Measured: AP 13.6, AP50 25.6, AP75 11.9, stopped at iteration 150 and resumed, one seed.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py',
    '../_base_/scenes_voc.py',
    '../_base_/c4_resnet18w32.py',
    '../_base_/detection_runtime_300i.py',
    '../_base_/adamw_300i.py',
]

custom_imports = dict(imports=['mmdssl'])
model = _base_.c4_model
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmdssl.PreciseBatchNormHook', num_batches=50, interval=300),
]
