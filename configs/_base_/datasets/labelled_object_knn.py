# Objects of labelled photos for O-KNN, in COCO's format: annotations/instances_{train,val}.json,
# train/, val/. Training on photos needs none: mmdssl test CONFIG CHECKPOINT --data-root LABELLED
_base_ = './coco_object_knn.py'

bank = dict(ann_file='annotations/instances_train.json', data_prefix='train/')
query = dict(ann_file='annotations/instances_val.json', data_prefix='val/')
object_knn_dataloader = dict(
    dataset=dict(
        data_root='data/labelled/',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=224),
        ],
        datasets=dict(bank=bank, query=query, bank_disturbed=bank, query_disturbed=query),
    )
)
