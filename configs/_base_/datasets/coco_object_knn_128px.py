# O-KNN and O-KNN-D of a few hundred COCO photos: all objects, images at the 128 px of the training
# views.
_base_ = './coco_object_knn.py'

object_knn_dataloader = dict(
    num_workers=1,
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=128),
        ],
    ),
)
