# How a full-size run loads images. Batch size, folder and pipeline are the method's.
efficiency = dict(workers=8, pin_memory=True)
train_dataloader = dict(
    drop_last=True,  # queues take batches of one size
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(type='ImageFolder'),
)
