"""Cascade Mask R-CNN from the small ViT, on generated scenes: a CPU, minutes.

Reproduces: no table; the small counterpart of cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py.
Command: python tools/make_scenes.py data/scenes
    python tools/train.py configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py
    python tools/convert.py export \
        work_dirs/ibot_vit-micro-p16_1xb24-250i_scenes/iter_250.pth --to mmdet \
        --out weights/vit-micro-p16_mmdet.pth
    python tools/train.py \
        configs/transfer/scenes_detection/cascade-mask-rcnn_vit-micro-p16_1xb4-300i_scenes.py
Costs: not measured.
Published: none.
Measured: not measured.
"""

_base_ = [
    '../_base_/cascade-mask-rcnn_vit-small-p16.py',
    '../_base_/scenes_instance.py',
    '../_base_/detection_runtime.py',
    '../_base_/adamw_300i.py',
]

pretrained = 'weights/vit-micro-p16_mmdet.pth'
small_head = dict(
    _base_.box_head,
    num_shared_convs=2,
    in_channels=64,
    conv_out_channels=64,
    fc_out_channels=128,
    num_classes=16,
    norm_cfg=dict(type='BN'),
)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdssl.TapViT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768),
        img_size=128,
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained),
    ),
    neck=[
        dict(type='mmdssl.DeconvPyramid', in_channels=192, norm_cfg=dict(type='BN')),
        dict(type='FPN', in_channels=[192] * 4, out_channels=64, num_outs=5),
    ],
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[6])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=[
            dict(
                small_head,
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder',
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=[centre, centre, side, side],
                ),
            )
            for centre, side in ((0.1, 0.2), (0.05, 0.1), (0.033, 0.067))
        ],
        mask_roi_extractor=dict(out_channels=64),
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64, num_classes=16),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        rcnn=[
            dict(stage, sampler=dict(stage['sampler'], num=32))
            for stage in _base_.model.train_cfg.rcnn
        ],
    ),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100), rcnn=dict(max_per_img=50)),
)
optim_wrapper = dict(
    constructor='mmdssl.LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(decay_rate=0.8)
)
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
