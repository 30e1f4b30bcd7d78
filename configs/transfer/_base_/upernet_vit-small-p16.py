# UPerNet on four taps of a ViT-S/16, each normalised by the network's final norm, as iBOT and
# "Mind Your Augmentation" fine-tune it.
pretrained = 'weights/vit-small-p16_mmseg.pth'
sync_bn = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),
    ),
    backbone=dict(
        type='mmdssl.TapViT',
        arch='deit-small',
        patch_size=16,
        img_size=512,
        out_indices=(3, 5, 7, 11),
        tap_norm=True,
        drop_path_rate=0.1,
        init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
    ),
    neck=dict(type='mmdssl.DeconvPyramid', in_channels=384, norm_cfg=sync_bn),
    decode_head=dict(
        type='UPerHead',
        in_channels=[384, 384, 384, 384],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=384,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=sync_bn,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=384,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=sync_bn,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
