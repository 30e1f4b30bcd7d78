"""Faster R-CNN R50-C4, 24k iterations on VOC 2007 and 2012 trainval, tested on 2007 test.

Reproduces: Mind Your Augmentation (ICLR 2024), Table 1, VOC detection; D3SSL, Table 1: the MoCo
    protocol, mean of 5 trials.
Command: mmdssl convert export work_dirs/RUN/epoch_800.pth --to mmdet \
        --out weights/resnet50_mmdet.pth
    tools/dist_train.sh configs/transfer/voc_detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py 8 \
        --seed 0 --work-dir work_dirs/voc/seed-0
    mmdssl trials work_dirs/voc/seed-*
    Another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE \
        model.roi_head.shared_head.init_cfg.checkpoint=FILE
Costs: not measured; 8 GPUs.
Published: AP: MoCo v2 54.6; DenseCL 56.7; DenseCL-D 57.2; SoCo 56.8; SoCo-D 57.8; D3SSL 57.8 in
    its own paper.
Measured: not measured.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py',
    '../_base_/voc0712.py',
    '../_base_/c4_resnet50.py',
    '../_base_/detection_runtime.py',
    '../_base_/c4_24k.py',
]

custom_imports = dict(imports=['mmdssl'])
model = _base_.c4_model
model.roi_head.bbox_head = dict(num_classes=20)
custom_hooks = [*_base_.custom_hooks, _base_.precise_bn]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4000))
log_processor = dict(by_epoch=False)
