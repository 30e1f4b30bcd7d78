# O-KNN and O-KNN-D of COCO ("Mind Your Augmentation", ICLR 2024, App. E.3.2): train2017 as bank,
# three random objects an image; all objects of val2017 ask in O-KNN, three an image in O-KNN-D,
# which exchanges all else (num_by_tag={}: three in O-KNN too). One loader gives the features of all
# metrics. It is read by mmdssl test and, during pre-training, by
# dict(type='ObjectKNNHook', interval=...).
# Another place, size or choice of objects needs one entry:
#   object_knn_dataloader = dict(dataset=dict(data_root='...', pipeline=[...]))
object_knn_dataloader = dict(
    batch_size=64,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='TaggedConcat',
        data_root='data/coco/',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', num=3, num_by_tag=dict(query=None), select='random'),
            dict(type='ResizeWithBoxes', size=224),
        ],
        datasets=dict(
            bank=dict(
                type='CocoObjects',
                ann_file='annotations/instances_train2017.json',
                data_prefix='train2017/',
                with_masks=False,
                pipeline=[dict(type='PackObjects')],
            ),
            query=dict(
                type='CocoObjects',
                ann_file='annotations/instances_val2017.json',
                data_prefix='val2017/',
                with_masks=False,
                pipeline=[dict(type='PackObjects')],
            ),
            bank_disturbed=dict(
                type='CocoObjects',
                ann_file='annotations/instances_train2017.json',
                data_prefix='train2017/',
                with_masks=False,
                pipeline=[dict(type='DisturbBackground'), dict(type='PackObjects')],
            ),
            query_disturbed=dict(
                type='CocoObjects',
                ann_file='annotations/instances_val2017.json',
                data_prefix='val2017/',
                with_masks=False,
                pipeline=[dict(type='DisturbBackground'), dict(type='PackObjects')],
            ),
        ),
    ),
)
object_knn_evaluator = [
    dict(type='ObjectKNN', prefix='oknn'),
    dict(type='ObjectKNN', prefix='oknn_d', bank='bank_disturbed', query='query_disturbed'),
    dict(type='ObjectKNN', prefix='oknn_clean_bank', bank='bank', query='query_disturbed'),
]
