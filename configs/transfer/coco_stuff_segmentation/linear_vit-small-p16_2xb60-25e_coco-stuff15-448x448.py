"""Linear probe of a frozen ViT-S/16 on COCO-Stuff, 25 epochs.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 7, column COCO-Stuff LC.
Command: mmdssl convert export work_dirs/RUN/epoch_50.pth --to mmseg \
        --out weights/vit-small-p16_mmseg.pth
    tools/dist_train.sh configs/transfer/coco_stuff_segmentation/\
linear_vit-small-p16_2xb60-25e_coco-stuff15-448x448.py 2
    Another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
Published: Leopart 52.5, Leopart-D 53.2 mIoU.
Measured: not measured.
"""

_base_ = [
    '../_base_/probe_vit-small-p16.py',
    '../_base_/coco_stuff15_448x448.py',
    '../_base_/probe_sgd_25e.py',
]

model = dict(decode_head=dict(num_classes=15))
