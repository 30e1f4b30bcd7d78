# Generated scenes at 128 px, label maps drawn from the outlines of the COCO json: 16 classes and
# background.
data_root = 'data/scenes/'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='MapFromObjects'),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='MapFromObjects'),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmdssl.CocoSemantic',
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix='train/',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmdssl.CocoSemantic',
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix='val/',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
