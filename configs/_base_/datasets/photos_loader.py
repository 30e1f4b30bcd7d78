# Loader of photos without labels, those of voc/train2012 among them. The pipeline is the method's.
data_root = 'data/photos/'
efficiency = dict(workers=2, pin_memory=True)
train_dataloader = dict(
    batch_size=64,
    drop_last=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(type='ImageFolder', data_root=data_root, folders=['unlabelled', 'voc/train2012']),
)
