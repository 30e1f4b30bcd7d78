# MaskAlign with ViT-S/16 and CLIP's ViT-B/16 as teacher, which has its own normalisation. The file
# holds CLIP's image tower under mmpretrain's names, see configs/maskalign/README.md.
model = dict(
    type='MaskAlign',
    backbone=dict(type='SinCosViT', arch='deit-small', patch_size=16, drop_path_rate=0.1),
    teacher=dict(
        type='FrozenTeacher',
        backbone=dict(
            type='VisionTransformer',
            arch='base',
            img_size=224,
            patch_size=16,
            pre_norm=True,
            norm_cfg=dict(type='LN', eps=1e-5),
            layer_cfgs=dict(act_cfg=dict(type='mmpretrain.QuickGELU')),
            out_type='raw',
        ),
        checkpoint='data/teachers/clip_vit-base-p16.pth',
        mean=[122.771, 116.746, 104.094],
        std=[68.501, 66.632, 70.323],
    ),
    mask_ratio=0.7,
    layers='top5',
)
