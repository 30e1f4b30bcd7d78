# Within an object against all else: areas under the ROC curve of patches' cosines, and norms before
# the final norm, on photos with outlines squashed to one size. For a CNN: extractor=dict(tokens=[
# 'last', 'prenorm']). Label maps instead of outlines: a SemanticFolder with LoadImage,
# LoadSemanticMap, InstanceMap, ResizeWithMap and PackSemantic.
extractor = dict(tokens=['last', 'prenorm', 'embedding'])
test_dataloader = dict(
    batch_size=32,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='CocoObjects',
        data_root='data/coco/',
        ann_file='annotations/instances_val2017.json',
        data_prefix='val2017/',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='InstanceMap'),
            dict(type='ResizeWithBoxes', size=224),
            dict(type='PackObjects'),
        ],
    ),
)
test_evaluator = [
    dict(type='PatchAffinity', places=['last', 'prenorm'], bootstrap=1000),
    dict(type='ArtefactTokens', bootstrap=1000),
]
