"""Mask R-CNN C4 from the small ResNet, on generated scenes: a CPU, minutes.

Reproduces: no table; the small counterpart of mask-rcnn_r50-c4_8xb2-90k_coco.py.
Command: python tools/make_scenes.py data/scenes
    python tools/train.py configs/scenes/densecl_r18w32-128px_1xb32-250i_scenes.py
    python tools/convert.py export \
        work_dirs/densecl_r18w32-128px_1xb32-250i_scenes/iter_250.pth --to mmdet \
        --out weights/r18w32_mmdet.pth
    python tools/train.py configs/transfer/scenes_detection/mask-rcnn_r18w32-c4_1xb4-300i_scenes.py
Costs: not measured.
Published: none.
Measured: not measured.
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py',
    '../_base_/scenes_instance.py',
    '../_base_/c4_resnet50.py',
    '../_base_/detection_runtime.py',
    '../_base_/adamw_300i.py',
]

pretrained = 'weights/r18w32_mmdet.pth'
model = _base_.c4_model
model.backbone.update(
    depth=18,
    stem_channels=32,
    base_channels=32,
    norm_cfg=dict(type='BN'),
    init_cfg=dict(_delete_=True, type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
)
model.rpn_head = dict(
    in_channels=128, feat_channels=128, anchor_generator=dict(scales=[1, 1.5, 2.25, 3.4])
)
model.roi_head.update(
    shared_head=dict(
        _delete_=True,
        type='mmdssl.C4SharedHead',
        depth=18,
        base_channels=32,
        norm_cfg=dict(type='BN'),
        init_cfg=dict(type='Pretrained', checkpoint=pretrained),
    ),
    # regions of 8x8 cells, 4x4 after layer4: a third of the work of 14x14
    bbox_roi_extractor=dict(out_channels=128, roi_layer=dict(output_size=8)),
    bbox_head=dict(in_channels=256, roi_feat_size=4, num_classes=16),
    mask_head=dict(in_channels=256, conv_out_channels=64, num_classes=16),
)
model.train_cfg = dict(
    rpn_proposal=dict(nms_pre=400, max_per_img=100),
    rcnn=dict(sampler=dict(num=32), mask_size=8),
)
model.test_cfg = dict(rpn=dict(nms_pre=400, max_per_img=60), rcnn=dict(max_per_img=50))
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
