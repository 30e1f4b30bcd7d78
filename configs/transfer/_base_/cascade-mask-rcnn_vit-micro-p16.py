# Cascade Mask R-CNN on the ViT of the small runs (width 192, depth 4): every block is a tap.
_base_ = './cascade-mask-rcnn_vit-small-p16.py'

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
        init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
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
