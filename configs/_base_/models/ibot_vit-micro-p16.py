# iBOT small enough for a CPU: width 192, depth 4, 128 px images in 16 px patches.
model = dict(
    type='IBOT',
    backbone=dict(
        type='DenseViT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768),
        img_size=128,
        patch_size=16,
    ),
    head=dict(
        type='IBOTHead',
        in_channels=192,
        hidden_channels=256,
        bottleneck_channels=64,
        out_channels=512,
    ),
    loss=dict(teacher_temp=(0.04, 0.04), teacher_patch_temp=(0.04, 0.04), warmup_epochs=0),
    momentum=(0.96, 1.0),
)
