# Over-clustering of small runs on COCO photos: 100 images at 128 px, K=100, one seed.
_base_ = './coco_overclustering.py'

overclustering_dataloader = dict(
    num_workers=1,
    dataset=dict(
        max_images=100,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MapFromObjects'),
            dict(type='ResizeWithMap', size=128, map_size=64),
            dict(type='PackSemantic'),
        ],
    ),
)
overclustering_evaluator = dict(num_clusters=100, restarts=2, seeds=(0,))
