# LOST and TokenCut (arXiv 2109.14279, 2202.11539) on photos with boxes, at their own size, batches
# of one, keys of the last block: for vision transformers. A CNN has no keys: features='last' with
# center=True, and extractor=dict(tokens=['last'], pad_to=32). pad_to is the patch (14 for DINOv2).
extractor = dict(tokens=['keys'], pad_to=16)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='CocoObjects',
        data_root='data/coco/',
        ann_file='annotations/instances_val2017.json',
        data_prefix='val2017/',
        with_masks=False,
        pipeline=[dict(type='LoadImage'), dict(type='PackObjects')],
    ),
)
test_evaluator = dict(type='ObjectDiscovery', features='keys', bootstrap=1000)
