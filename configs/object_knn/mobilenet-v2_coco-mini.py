"""O-KNN and O-KNN-D of mmpretrain's MobileNetV2 on a few hundred COCO images, all objects.

Purpose: check of the evaluation with features of known quality.
Command: mmdssl test configs/object_knn/mobilenet-v2_coco-mini.py CHECKPOINT
    (any mmpretrain MobileNetV2 of ImageNet; without CHECKPOINT the untrained network)
Costs: 45 s of processor time: 388 images, clean and disturbed, at 224 px.
Measured: see README.md beside this file.
"""

_base_ = '../_base_/datasets/coco_object_knn.py'

default_scope = 'mmdssl'
data_root = 'data/coco_mini/'
model = dict(type='FeatureExtractor', backbone=dict(type='MobileNetV2'))
object_knn_dataloader = dict(
    batch_size=16,  # larger ones only cost memory on a CPU
    num_workers=2,
    dataset=dict(
        data_root=data_root,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=224),
        ],
    ),
)
