"""FCN probe of a frozen ViT-S/16 on COCO-Stuff, 30 epochs.

Reproduces: "Mind Your Augmentation" (ICLR 2024), App. F, FCN, which it
    reports for VOC12 only.
Command: mmdssl convert export work_dirs/RUN/epoch_50.pth --to mmseg \
        --out weights/vit-small-p16_mmseg.pth
    tools/dist_train.sh configs/transfer/coco_stuff_segmentation/\
fcn_vit-small-p16_2xb32-30e_coco-stuff15-448x448.py 2
    Another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
    Backbone fine-tuned too: --cfg-options model.freeze_backbone=False (the papers disagree)
Measured: not measured.
"""

_base_ = [
    '../_base_/fcn_probe_vit-small-p16.py',
    '../_base_/coco_stuff15_448x448.py',
    '../_base_/probe_sgd_25e.py',
]

model = dict(decode_head=dict(num_classes=15))
train_dataloader = dict(batch_size=32)
train_cfg = dict(max_epochs=30)
