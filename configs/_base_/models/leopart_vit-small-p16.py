# Leopart with ViT-S/16, as published: 300 prototypes, queue of 8192 foreground vectors per view.
model = dict(
    type='Leopart',
    backbone=dict(
        type='DenseViT',
        arch='deit-small',
        patch_size=16,
        drop_path_rate=0.1,
        with_mask_token=False,
    ),
    head=dict(
        type='LeopartHead',
        in_channels=384,
        hidden_channels=2048,
        bottleneck_channels=256,
        num_prototypes=300,
    ),
    temperature=0.1,
    epsilon=0.05,
    sinkhorn_iterations=3,
    queue_length=8192,
    attention_mass=0.6,
    momentum=(0.9995, 1.0),
)
