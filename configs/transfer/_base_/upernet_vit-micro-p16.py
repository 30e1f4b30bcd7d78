# UPerNet on the ViT of the small runs (width 192, depth 4): every block is a tap.
_base_ = './upernet_vit-small-p16.py'

pretrained = 'weights/vit-micro-p16_mmseg.pth'
bn = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768
        ),
        img_size=128,
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.0,
        init_cfg=dict(checkpoint=pretrained),
    ),
    neck=dict(in_channels=192, norm_cfg=bn),
    decode_head=dict(in_channels=[192] * 4, channels=64, norm_cfg=bn),
    auxiliary_head=dict(in_channels=192, channels=64, norm_cfg=bn),
    test_cfg=dict(crop_size=(128, 128), stride=(85, 85)),
)
