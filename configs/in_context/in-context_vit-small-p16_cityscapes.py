"""In-context segmentation of Cityscapes by a frozen ViT-S/16: no training.

Reproduces: "Towards In-context Scene Understanding" (NeurIPS 2023), by its public evaluation,
    open-hummingbird-eval 2.0.
Command: mmdssl test configs/in_context/in-context_vit-small-p16_cityscapes.py CHECKPOINT
    (without CHECKPOINT the untrained network); data below
    data/cityscapes/, or --cfg-options data_root=FOLDER
Costs: 5950 passes of 1024 patches, 6.1 million, which all stay: 4.9 GB in half precision, and
    0.4 GB of 500 queries. The search: README.md beside this file.
Measured: not measured.
"""

_base_ = ['../_base_/datasets/cityscapes_parts.py', '../_base_/datasets/in_context_512px.py']

default_scope = 'mmdssl'
data_root = 'data/cityscapes/'
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
