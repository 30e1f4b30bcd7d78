# Loader of photos without labels, those of voc/train2012 among them. The pipeline is the method's.
data_root = 'data/photos/'
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(type='ImageFolder', data_root=data_root, folders=['unlabelled', 'voc/train2012']),
)
