# O-KNN and O-KNN-D of generated scenes: all objects, images at the 64 px of the training views.
_base_ = './coco_object_knn.py'

object_knn_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        data_root='data/scenes/',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=64),
        ],
        datasets=dict(
            bank=dict(ann_file='annotations/instances_train.json', data_prefix='train/'),
            query=dict(ann_file='annotations/instances_val.json', data_prefix='val/'),
            bank_disturbed=dict(ann_file='annotations/instances_train.json', data_prefix='train/'),
            query_disturbed=dict(ann_file='annotations/instances_val.json', data_prefix='val/'),
        ),
    ),
)
