# How a run by iterations on a CPU loads images. Batch size, folder and pipeline are the method's.
efficiency = dict(workers=1)
train_dataloader = dict(
    drop_last=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(type='ImageFolder'),
)
