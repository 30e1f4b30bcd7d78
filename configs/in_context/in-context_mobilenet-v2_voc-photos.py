"""In-context and patch k-NN segmentation of VOC photos by a frozen MobileNetV2, on a CPU.

Purpose: check of both measures with features of known quality.
Command: mmdssl test configs/in_context/in-context_mobilenet-v2_voc-photos.py CHECKPOINT
    (any mmpretrain MobileNetV2 of ImageNet; without CHECKPOINT the untrained network); photos in
    data/photos/voc/, or --cfg-options data_root=FOLDER
Measured: see README.md beside this file.
"""

_base_ = '../_base_/datasets/photos_in_context.py'

default_scope = 'mmdssl'
data_root = 'data/photos/voc/'
model = dict(type='FeatureExtractor', backbone=dict(type='MobileNetV2'))
test_dataloader = dict(_base_.in_context_dataloader, batch_size=16)
test_evaluator = _base_.in_context_evaluator
