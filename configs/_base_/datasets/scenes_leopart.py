# Generated scenes: python tools/make_scenes.py data/scenes
_base_ = './leopart_views_128px.py'

data_root = 'data/scenes/'
train_dataloader = dict(
    batch_size=24,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='ImageFolder',
        data_root=data_root + 'train/',
        pipeline=_base_.leopart_pipeline,
    ),
)
