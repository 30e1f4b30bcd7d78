# O-KNN, O-KNN-D and clean bank of photos with boxes: all objects, 224 px. The layout is that of a
# VOC in COCO's format: voc/annotations/instances_{train,val}2012.json beside voc/{train,val}2012.
_base_ = './coco_object_knn.py'

bank = dict(ann_file='annotations/instances_train2012.json', data_prefix='train2012/')
query = dict(ann_file='annotations/instances_val2012.json', data_prefix='val2012/')
object_knn_dataloader = dict(
    num_workers=2,
    dataset=dict(
        data_root='data/photos/voc/',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=224),
        ],
        datasets=dict(
            bank=bank,
            query=query,
            bank_disturbed=bank,
            query_disturbed=query,
        ),
    ),
)
