"""MaskAlign with DINO's ViT-B/16 as teacher, which has seen no captions.

Purpose: the second teacher that MaskAlign's own code offers.
Command: the teacher first, see README.md; then
    tools/dist_train.sh
    configs/maskalign/maskalign-dino_vit-small-p16_8xb128-coslr-800e_coco.py 8
Measured: not measured.
"""

_base_ = './maskalign_vit-small-p16_8xb128-coslr-800e_coco.py'

model = dict(
    teacher=dict(
        _delete_=True,
        type='FrozenTeacher',
        backbone=dict(type='DenseViT', arch='deit-base', patch_size=16, with_mask_token=False),
        checkpoint='data/teachers/dino_vit-base-p16.pth',
    ),
)
