# NeCo small enough for a CPU, on the ViT of the small iBOT runs: width 192, depth 4, 128 px images
# in 16 px patches; 16 references.
model = dict(
    type='NeCo',
    backbone=dict(
        type='DenseViT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768),
        img_size=128,
        patch_size=16,
        with_mask_token=False,
    ),
    head=dict(
        type='LeopartHead',
        in_channels=192,
        hidden_channels=256,
        bottleneck_channels=64,
        num_prototypes=None,
    ),
    roi_size=4,
    momentum=(0.99, 1.0),
)
