"""Linear probe of a frozen ViT-S/16 on VOC12, 25 epochs.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 7, column VOC12 LC.
Command: mmdssl convert export work_dirs/RUN/epoch_50.pth --to mmseg \
        --out weights/vit-small-p16_mmseg.pth
    tools/dist_train.sh configs/transfer/voc12_segmentation/\
linear_vit-small-p16_2xb60-25e_voc12aug-448x448.py 2
    Another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
Published: Leopart 65.0, Leopart-D 66.5 mIoU.
Measured: not measured.
"""

_base_ = [
    '../_base_/probe_vit-small-p16.py',
    '../_base_/voc12aug_448x448.py',
    '../_base_/probe_sgd_25e.py',
]
