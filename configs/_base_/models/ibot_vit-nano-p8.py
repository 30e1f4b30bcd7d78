# iBOT small enough for a CPU: width 96, depth 4, 64 px images in 8 px patches.
model = dict(
    type='IBOT',
    backbone=dict(
        type='DenseViT',
        arch=dict(embed_dims=96, num_layers=4, num_heads=3, feedforward_channels=384),
        img_size=64,
        patch_size=8,
    ),
    head=dict(
        type='IBOTHead',
        in_channels=96,
        hidden_channels=256,
        bottleneck_channels=64,
        out_channels=512,
    ),
    loss=dict(teacher_temp=(0.04, 0.04), teacher_patch_temp=(0.04, 0.04), warmup_epochs=0),
    momentum=(0.98, 1.0),
)
