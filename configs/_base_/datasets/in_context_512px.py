# In-context segmentation (Hummingbird) as published: a memory of two passes of crops, slightly
# coloured; queries squashed to the size of the input; k = 30, temperature 0.02. Beside it a config
# needs the parts of a data set, see configs/in_context.
# Squares of 512 px for patches of 16; 504 for patches of 14.
size = 512
bank_pipeline = [
    dict(type='RandomResizedCropWithMap', size=size, scale=(0.5, 2.0)),
    dict(type='SlightColours', strength=0.1, prob=0.5),
    dict(type='PackSemantic'),
]
query_pipeline = [dict(type='ResizeWithMap', size=size), dict(type='PackSemantic')]
test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='TaggedConcat',
        pipeline=[dict(type='LoadImage'), dict(type='LoadSemanticMap')],
        datasets=dict(
            bank=dict(pipeline=bank_pipeline),
            bank_again=dict(pipeline=bank_pipeline),
            query=dict(pipeline=query_pipeline),
        ),
    ),
)
# The largest published memory; also 1,024,000 and 102,400.
test_evaluator = dict(
    type='InContextSegmentation',
    bank=('bank', 'bank_again'),
    memory_size=10_240_000,
    k=30,
    temperature=0.02,
    storage='float16',
    bootstrap=1000,
)
