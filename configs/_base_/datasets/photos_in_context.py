# In-context and patch k-NN segmentation of photos with label maps, squashed to 224 px, one pass
# without crops and colours for both. The layout is that of a VOC: {train,val}2012 beside
# masks_{train,val}2012. It is read by dict(type='InContextHook', interval=...) and by the configs
# of configs/in_context; another folder or fewer images need one entry:
#   in_context_dataloader = dict(dataset=dict(data_root='...', datasets=dict(bank=dict(share=0.1))))
voc_classes = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair',
    'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor',
)  # fmt: skip
pipeline = [dict(type='ResizeWithMap', size=224), dict(type='PackSemantic')]
in_context_dataloader = dict(
    batch_size=32,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    dataset=dict(
        type='TaggedConcat',
        data_root='data/photos/voc/',
        pipeline=[dict(type='LoadImage'), dict(type='LoadSemanticMap')],
        datasets=dict(
            bank=dict(
                type='SemanticFolder',
                classes=voc_classes,
                data_prefix=dict(img_path='train2012', seg_map_path='masks_train2012'),
                pipeline=pipeline,
            ),
            query=dict(
                type='SemanticFolder',
                classes=voc_classes,
                data_prefix=dict(img_path='val2012', seg_map_path='masks_val2012'),
                pipeline=pipeline,
            ),
        ),
    ),
)
in_context_evaluator = [
    dict(type='InContextSegmentation', memory_size=None, bootstrap=1000),
    dict(type='PatchKNNSegmentation', bootstrap=1000),
]
