"""FCN probe of a frozen ViT-S/16 on VOC12, 30 epochs.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 7, column FCN.
Command: mmdssl convert export work_dirs/RUN/epoch_50.pth --to mmseg \
        --out weights/vit-small-p16_mmseg.pth
    tools/dist_train.sh configs/transfer/voc12_segmentation/\
fcn_vit-small-p16_2xb32-30e_voc12aug-448x448.py 2
    Another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
    Backbone fine-tuned too: --cfg-options model.freeze_backbone=False (the papers disagree)
Published: Leopart 67.2, Leopart-D 68.9 mIoU.
Measured: not measured.
"""

_base_ = [
    '../_base_/fcn_probe_vit-small-p16.py',
    '../_base_/voc12aug_448x448.py',
    '../_base_/probe_sgd_25e.py',
]

train_dataloader = dict(batch_size=32)
train_cfg = dict(max_epochs=30)
