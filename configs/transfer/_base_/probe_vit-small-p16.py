# Linear probe of a frozen ViT-S/16 at 448 px on 100 x 100 maps (Leopart, CVPR 2022).
pretrained = 'weights/vit-small-p16_mmseg.pth'
model = dict(
    type='mmdssl.DenseProbe',
    map_size=100,
    freeze_backbone=True,
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=False,  # LoadImage gives RGB
        pad_val=0,
        seg_pad_val=255,
        size=(448, 448),
    ),
    backbone=dict(
        type='mmdssl.TapViT',
        arch='deit-small',
        patch_size=16,
        img_size=448,
        out_indices=(11,),
        tap_norm=True,
        load_rule='factor',  # Leopart's net resizes its table as in pre-training
        init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
    ),
    # An FCN head without any of its 3 x 3 convolutions is a 1 x 1 convolution.
    decode_head=dict(
        type='FCNHead',
        in_channels=384,
        in_index=-1,
        channels=384,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=21,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
