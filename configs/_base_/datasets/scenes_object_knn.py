# O-KNN and O-KNN-D of generated scenes: all objects, images at the 128 px of the training views;
# a bank of 600 images keeps a measurement during training short.
_base_ = './coco_object_knn.py'

bank = dict(ann_file='annotations/instances_train.json', data_prefix='train/', max_images=600)
query = dict(ann_file='annotations/instances_val.json', data_prefix='val/')
object_knn_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        data_root='data/scenes/',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=128),
        ],
        datasets=dict(
            bank=bank,
            query=query,
            bank_disturbed=bank,
            query_disturbed=query,
        ),
    ),
)
