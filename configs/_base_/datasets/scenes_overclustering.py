# Over-clustering of generated scenes: 100 images at 128 px, 16 classes and background, K=50.
_base_ = './coco_overclustering_128px.py'

overclustering_dataloader = dict(
    dataset=dict(
        data_root='data/scenes/',
        ann_file='annotations/instances_val.json',
        data_prefix='val/',
    ),
)
overclustering_evaluator = dict(num_clusters=50)
