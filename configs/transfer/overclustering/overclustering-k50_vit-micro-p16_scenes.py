"""Over-clustering of a small frozen ViT on generated scenes: a CPU, a minute.

Purpose: CPU-sized version of the VOC config.
Command: mmdssl scenes data/scenes
    mmdssl test
    configs/transfer/overclustering/overclustering-k50_vit-micro-p16_scenes.py CHECKPOINT
    (of any run with vit-micro, e.g. configs/scenes/leopart_vit-micro-p16_1xb24-200i_scenes.py)
Measured: see README.md beside this file.
"""

_base_ = '../../_base_/datasets/scenes_overclustering.py'

default_scope = 'mmdssl'
data_root = 'data/scenes/'
model = dict(
    type='FeatureExtractor',
    backbone=dict(
        type='DenseViT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768),
        img_size=128,
        patch_size=16,
    ),
)
test_dataloader = _base_.overclustering_dataloader
test_evaluator = dict(
    _base_.overclustering_evaluator, match=('precision', 'iou', 'hungarian'), seeds=(0, 1, 2, 3, 4)
)
