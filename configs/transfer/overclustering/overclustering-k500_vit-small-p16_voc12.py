"""Over-clustering of a frozen ViT-S/16 on VOC12 val: K=500, five seeds, no training.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 7, column VOC K=500.
Command: mmdssl test
    configs/transfer/overclustering/overclustering-k500_vit-small-p16_voc12.py CHECKPOINT
    (without CHECKPOINT the untrained network); data in data/VOCdevkit/VOC2012/, or
    --cfg-options data_root=FOLDER
Costs: 1449 images and 1.7 GB of features, then five k-means. Not measured.
Published: Leopart 45.2, Leopart-D 48.2 mIoU (rule 'precision', as the official code has it).
Measured: not measured.
"""

_base_ = '../../_base_/datasets/voc12_overclustering.py'

default_scope = 'mmdssl'
model = dict(
    type='FeatureExtractor',
    backbone=dict(type='DenseViT', arch='deit-small', img_size=224, patch_size=16),
)
