"""In-context segmentation of ADE20K by a frozen ViT-S/16: no training.

Reproduces: "Towards In-context Scene Understanding" (NeurIPS 2023), by its public evaluation,
    open-hummingbird-eval 2.0.
Command: mmdssl test configs/in_context/in-context_vit-small-p16_ade20k.py CHECKPOINT
    (without CHECKPOINT the untrained network); data below
    data/ADEChallengeData2016/, or --cfg-options data_root=FOLDER
Costs: 40,420 passes of 1024 patches, of which 10.2 million stay: 11 GB in half precision, and
    1.6 GB of 2000 queries. The search: README.md beside this file.
Published: DINO ViT-S/16 17.9 mIoU (as quoted by NeCo).
Measured: not measured.
"""

_base_ = ['../_base_/datasets/ade20k_parts.py', '../_base_/datasets/in_context_512px.py']

default_scope = 'mmdssl'
data_root = 'data/ADEChallengeData2016/'
model = dict(
    type='FeatureExtractor',
    backbone=dict(type='DenseViT', arch='deit-small', img_size=224, patch_size=16),
)
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        datasets=dict(
            bank=_base_.bank_part,
            bank_again=_base_.bank_part,
            query=_base_.query_part,
        ),
    ),
)
test_evaluator = dict(ignored=_base_.ignored)
