"""UPerNet from a ViT-S/16, 160k iterations on ADE20K.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 2, column ADE20K; settings of its public
    code, where the norm at the taps is switched on from the command line.
Command: mmdssl convert export work_dirs/RUN/epoch_800.pth --to mmseg \
        --out weights/vit-small-p16_mmseg.pth
    tools/dist_train.sh configs/transfer/ade20k_segmentation/\
upernet_vit-small-p16_8xb2-160k_ade20k-512x512.py 8
    Another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
Costs: not measured; half precision, 8 GPUs.
Published: mIoU iBOT 39.9, iBOT-D 41.6, MaskAlign 43.7, MaskAlign-D 44.3.
Measured: not measured.
"""

_base_ = [
    '../_base_/upernet_vit-small-p16.py',
    '../_base_/ade20k_512x512.py',
    '../_base_/segmentation_runtime.py',
]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# lr * 0.9 ** (13 - layer); position table and class token decay, as in the official code.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=3e-5, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='mmdssl.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=0.9, decay_pos_cls=True),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=160000),
]
auto_scale_lr = dict(base_batch_size=16)
