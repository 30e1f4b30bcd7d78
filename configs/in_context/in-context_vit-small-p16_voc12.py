"""In-context segmentation of VOC12 by a frozen ViT-S/16: no training.

Reproduces: "Towards In-context Scene Understanding" (NeurIPS 2023), by its public evaluation,
    open-hummingbird-eval 2.0.
Command: mmdssl test configs/in_context/in-context_vit-small-p16_voc12.py CHECKPOINT
    (without CHECKPOINT the untrained network); data below
    data/VOCdevkit/VOC2012/, or --cfg-options data_root=FOLDER
Costs: 21,164 passes of 1024 patches, of which 10.2 million stay: 8.3 GB in half precision, and
    1.1 GB of 1449 queries. The search: README.md beside this file.
Published: DINO ViT-S/16 37.2, 43.1, 46.6 mIoU with memories of 102,400, 1,024,000, 10,240,000
    (open-hummingbird-eval, 512 px, approximate search).
Measured: not measured.
"""

_base_ = ['../_base_/datasets/voc12_parts.py', '../_base_/datasets/in_context_512px.py']

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
            bank_again=_base_.bank_part,
            query=_base_.query_part,
        ),
    ),
)
