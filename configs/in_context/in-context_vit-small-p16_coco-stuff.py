"""In-context segmentation of COCO-Stuff, 15 coarse classes by a frozen ViT-S/16: no training.

Reproduces: "Towards In-context Scene Understanding" (NeurIPS 2023), by its public evaluation,
    open-hummingbird-eval 2.0.
Command: mmdssl test configs/in_context/in-context_vit-small-p16_coco-stuff.py CHECKPOINT
    (without CHECKPOINT the untrained network); data below
    data/coco/, or --cfg-options data_root=FOLDER
Costs: 236,574 passes of 1024 patches, of which 10.2 million stay: 8.2 GB in half precision, and
    3.9 GB of 5000 queries. The search: README.md beside this file.
Measured: not measured.
"""

_base_ = ['../_base_/datasets/coco_stuff_parts.py', '../_base_/datasets/in_context_512px.py']

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
            bank=_base_.bank_part,
            bank_again=_base_.bank_part,
            query=_base_.query_part,
        ),
    ),
)
