# NeCo on DINOv2's ViT-S/14 with registers, as published; a queue of 8192 tokens.
model = dict(
    type='NeCo',
    backbone=dict(
        type='DenseViT',
        arch='deit-small',
        img_size=518,
        patch_size=14,
        registers=4,
        layer_scale_init_value=1e-5,
        drop_path_rate=0.1,
        with_mask_token=False,
    ),
    head=dict(
        type='LeopartHead',
        in_channels=384,
        hidden_channels=2048,
        bottleneck_channels=256,
        num_prototypes=None,
    ),
    similarity='cosine',
    steepness=(100.0, 100.0),
    roi_size=7,
    queue_length=8192,
    momentum=(0.9995, 1.0),
)
