# Generated scenes: python tools/make_scenes.py data/scenes
# and their proposals (tools/make_proposals.py).
_base_ = ['./d3ssl_views_128px.py', './proposals.py']

data_root = 'data/scenes/'
proposals_file = data_root + 'proposals/ss_train.npz'

load = [
    dict(type='LoadImage'),
    dict(type='LoadProposals', file=proposals_file, expect=_base_.proposals_made_with),
]
d3ssl_pipeline = load + _base_.d3ssl_steps
wo_depos_pipeline = load + _base_.wo_depos_steps

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='ImageFolder',
        data_root=data_root + 'train/',
        pipeline=d3ssl_pipeline,
    ),
)
