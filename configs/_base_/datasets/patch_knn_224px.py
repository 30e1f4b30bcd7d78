# Patch k-NN segmentation (CAPI) as published: all squashed to 224 px, bicubic; k of 1, 3, 10, 30
# and the distance chosen on a tenth of the training images. Beside it a config needs the parts of a
# data set, see configs/in_context.
pipeline = [
    dict(type='ResizeWithMap', size=224, interpolation='bicubic'),
    dict(type='PackSemantic'),
]
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='TaggedConcat',
        pipeline=[dict(type='LoadImage'), dict(type='LoadSemanticMap')],
        datasets=dict(bank=dict(pipeline=pipeline), query=dict(pipeline=pipeline)),
    ),
)
test_evaluator = dict(
    type='PatchKNNSegmentation',
    neighbours=(1, 3, 10, 30),
    distances=('cosine', 'l2'),
    tune_share=0.1,
    bootstrap=1000,
)
