# Cascade Mask R-CNN on four taps of a ViT-S/16, as iBOT and "Mind Your Augmentation" fine-tune it.
_base_ = 'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py'

pretrained = 'weights/vit-small-p16_mmdet.pth'
sync_bn = dict(type='SyncBN', requires_grad=True)
box_head = dict(
    type='ConvFCBBoxHead',
    num_shared_convs=4,
    num_shared_fcs=1,
    in_channels=256,
    conv_out_channels=256,
    fc_out_channels=1024,
    roi_feat_size=7,
    num_classes=80,
    reg_class_agnostic=False,
    reg_decoded_bbox=True,
    norm_cfg=sync_bn,
    loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdssl.TapViT',
        arch='deit-small',
        patch_size=16,
        img_size=(800, 1008),
        out_indices=(3, 5, 7, 11),
        tap_norm=False,
        drop_path_rate=0.1,
        init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
    ),
    neck=[
        dict(type='mmdssl.DeconvPyramid', in_channels=384, norm_cfg=sync_bn),
        dict(type='FPN', in_channels=[384] * 4, out_channels=256, num_outs=5),
    ],
    roi_head=dict(
        bbox_head=[
            dict(
                box_head,
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder',
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=[centre, centre, side, side],
                ),
            )
            for centre, side in ((0.1, 0.2), (0.05, 0.1), (0.033, 0.067))
        ]
    ),
)
