# CPU-sized over-clustering, as a curve during pre-training: dict(type='OverClusteringHook', ...).
# 300 images of COCO val2017 at 224 px, objects drawn as label maps (80 classes and background),
# K=150. The published protocol (K=500, VOC val) is in configs/transfer/overclustering.
overclustering_dataloader = dict(
    batch_size=32,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='CocoSemantic',
        data_root='data/coco/',
        ann_file='annotations/instances_val2017.json',
        data_prefix='val2017/',
        max_images=300,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MapFromObjects'),
            dict(type='ResizeWithMap', size=224, map_size=100),
            dict(type='PackSemantic'),
        ],
    ),
)
# Few patches: all are learned from, and far starts steady the curve. As published: the defaults.
overclustering_evaluator = dict(
    type='OverClustering',
    num_clusters=150,
    match=('precision', 'hungarian'),
    start='k-means++',
    points_per_cluster=None,
    seeds=(0, 1),
)
