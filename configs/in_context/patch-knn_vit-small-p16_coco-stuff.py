"""Patch k-NN segmentation of COCO-Stuff, 15 coarse classes by a frozen ViT-S/16: no training.

Reproduces: the protocol of "Cluster and Predict Latent Patches" (CAPI, 2025) on other data.
Command: mmdssl test configs/in_context/patch-knn_vit-small-p16_coco-stuff.py CHECKPOINT
    (without CHECKPOINT the untrained network); data below
    data/coco/, or --cfg-options data_root=FOLDER
Costs: 11,829 images (a random tenth) of 196 patches: 4.2 GB with their labels.
    The search: README.md beside this file.
Measured: not measured.
"""

_base_ = ['../_base_/datasets/coco_stuff_parts.py', '../_base_/datasets/patch_knn_224px.py']

default_scope = 'mmdssl'
data_root = 'data/coco/'
model = dict(
    type='FeatureExtractor',
    backbone=dict(type='DenseViT', arch='deit-small', img_size=224, patch_size=16),
)
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        datasets=dict(
            bank=dict(_base_.bank_part, share=0.1),
            query=_base_.query_part,
        ),
    ),
)
