# Label maps on a few thousand photos in the layout of a VOC: {train,val}2012 beside masks_*, 224 px
# squashed in testing, maps of 56 x 56.
data_root = 'data/photos/voc/'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadSemanticMap'),
    dict(type='RandomResizedCropWithMap', size=224, map_size=56, scale=(0.8, 1.0)),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadSemanticMap'),
    dict(type='ResizeWithMap', size=224, map_size=56),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmdssl.SemanticFolder',
        classes='PascalVOCDataset',
        data_root=data_root,
        data_prefix=dict(img_path='train2012', seg_map_path='masks_train2012'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmdssl.SemanticFolder',
        classes='PascalVOCDataset',
        data_root=data_root,
        data_prefix=dict(img_path='val2012', seg_map_path='masks_val2012'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
