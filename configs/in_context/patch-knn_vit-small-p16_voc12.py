"""Patch k-NN segmentation of VOC12 by a frozen ViT-S/16: no training.

Reproduces: "Cluster and Predict Latent Patches" (CAPI, 2025), k-NN segmentation, by its public
    code (whose authors say that VOC does not reproduce their paper).
Command: mmdssl test configs/in_context/patch-knn_vit-small-p16_voc12.py CHECKPOINT
    (without CHECKPOINT the untrained network); data below
    data/VOCdevkit/VOC2012/, or --cfg-options data_root=FOLDER
Costs: 10,582 images of 196 patches: 3.7 GB with their labels.
    The search: README.md beside this file.
Measured: not measured.
"""

_base_ = ['../_base_/datasets/voc12_parts.py', '../_base_/datasets/patch_knn_224px.py']

default_scope = 'mmdssl'
data_root = 'data/VOCdevkit/VOC2012/'
model = dict(
    type='FeatureExtractor',
    backbone=dict(type='DenseViT', arch='deit-small', img_size=224, patch_size=16),
)
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        datasets=dict(
            bank=_base_.bank_part,
            query=_base_.query_part,
        ),
    ),
)
