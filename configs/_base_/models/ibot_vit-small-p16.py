# iBOT with ViT-S/16, as in the public COCO runs: one head for CLS and patches, trainable norm
# of the last layer.
model = dict(
    type='IBOT',
    backbone=dict(type='DenseViT', arch='deit-small', patch_size=16, drop_path_rate=0.1),
    head=dict(
        type='IBOTHead',
        in_channels=384,
        hidden_channels=2048,
        bottleneck_channels=256,
        out_channels=8192,
        shared_head=True,
        norm_last_layer=False,
    ),
    loss=dict(
        student_temp=0.1,
        teacher_temp=(0.04, 0.07),
        teacher_patch_temp=(0.04, 0.07),
        warmup_epochs=80,
        center_momentum=0.9,
        patch_center_momentum=0.9,
    ),
    momentum=(0.996, 1.0),
)
