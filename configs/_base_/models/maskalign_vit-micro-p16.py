# MaskAlign small enough for a CPU: student and teacher of width 192 and depth 4, 128 px images in
# 16 px patches. The teacher is that of a small iBOT run. Half of the layers are in the loss, about
# the share of 5 of 12.
arch = dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768)
model = dict(
    type='MaskAlign',
    backbone=dict(type='SinCosViT', arch=arch, img_size=128, patch_size=16),
    teacher=dict(
        type='FrozenTeacher',
        backbone=dict(
            type='DenseViT', arch=arch, img_size=128, patch_size=16, with_mask_token=False
        ),
    ),
    mask_ratio=0.7,
    layers='top2',
)
