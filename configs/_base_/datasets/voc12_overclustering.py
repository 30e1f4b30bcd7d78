# Over-clustering of VOC12 val as published (Leopart, CVPR 2022): 448 px, maps of 100 x 100, K=500.
data_root = 'data/VOCdevkit/VOC2012/'
voc_classes = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair',
    'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor',
)  # fmt: skip
test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='SemanticFolder',
        classes=voc_classes,
        data_root=data_root,
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='LoadSemanticMap'),
            dict(type='ResizeWithMap', size=448, map_size=100),
            dict(type='PackSemantic'),
        ],
    ),
)
# 'hungarian' and 'iou' cost nothing beside it: the papers do not agree on the rule. k-means starts
# at random and learns from 256 patches a cluster, as published; the other way:
# start='k-means++', points_per_cluster=None.
test_evaluator = dict(
    type='OverClustering', num_clusters=500, match=('precision', 'iou', 'hungarian')
)
