# Coupling on COCO train2017 ("Mind Your Augmentation", ICLR 2024, Sec. 3, App. B; D3SSL, Sec. 3):
# pairs of objects of single-object images, quarters of objects, and objects on other backgrounds.
# Read by mmdssl analyze and, during pre-training, by the coupling hook. Another place, number or
# size needs one entry:
#   coupling_diagnostics = dict(inter=dict(dataloader=dict(dataset=dict(num=50))))
# remove='auto': patches of A are removed for a vision transformer, A is shrunk for a CNN.
_loader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
)
_files = dict(
    data_root='data/coco/',
    ann_file='annotations/instances_train2017.json',
    data_prefix='train2017/',
)

coupling_diagnostics = dict(
    inter=dict(
        layers=('last',),
        dataloader=dict(
            **_loader,
            dataset=dict(type='ObjectPairs', num=200, size=224, remove='auto', **_files),
        ),
        evaluator=[
            dict(type='InterObjectCoupling', form='angle', prefix='cr_inter'),
            dict(type='InterObjectCoupling', form='cosine', prefix='cr_inter_cosine'),
        ],
    ),
    background=dict(
        layers=('last',),
        dataloader=dict(
            **_loader,
            dataset=dict(type='ObjectBackgrounds', num=500, size=224, **_files),
        ),
        evaluator=[dict(type='BackgroundSensitivity', prefix='bg_self')],
    ),
    intra=dict(
        layers=('last',),
        dataloader=dict(
            **_loader,
            dataset=dict(type='ObjectParts', num=500, size=224, **_files),
        ),
        evaluator=[
            dict(type='IntraObjectCoupling', rest='object', prefix='cr_intra'),
            dict(type='IntraObjectCoupling', rest='all', prefix='cr_intra_all'),
        ],
    ),
)
