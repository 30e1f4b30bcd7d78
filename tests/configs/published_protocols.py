"""What is published of every fine-tuning protocol; never read off a config.

The public code of iBOT, Leopart and MoCo, and both papers. The models of the two C4 detectors have
a table of their own in ``test_transfer_c4.py``.
"""

from tests.configs.published_parts import together

VALUES = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])  # red, green, blue
VIT = dict(type='mmdssl.TapViT', arch='deit-small', patch_size=16)
SYNC = dict(type='SyncBN', requires_grad=True)


def loaders(batch: int, train: dict, test: dict, *, sampler: str = 'DefaultSampler') -> dict:
    shuffled = dict(type=sampler, shuffle=True)
    return dict(
        train_dataloader=dict(batch_size=batch, sampler=shuffled, dataset=train),
        val_dataloader=dict(dataset=test),
        test_dataloader=dict(dataset=test),
    )


# ---- UPerNet: 16 images, 160k iterations, 0.9 per layer
ADE = dict(type='mmdssl.SemanticFolder', classes='ADE20KDataset', reduce_zero_label=True)
WHOLE_SCALE = dict(scale=(2048, 512), keep_ratio=True)
UPERNET = together(
    loaders(
        2,
        dict(
            ADE,
            data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='mmseg.LoadAnnotations'),
                dict(WHOLE_SCALE, type='RandomResize', ratio_range=(0.5, 2.0)),
                dict(type='mmseg.RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
                dict(type='mmseg.RandomFlip', prob=0.5),
                dict(type='mmseg.PhotoMetricDistortion'),
                dict(type='mmseg.PackSegInputs'),
            ],
        ),
        dict(
            ADE,
            data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(WHOLE_SCALE, type='Resize'),
                dict(type='mmseg.LoadAnnotations'),
                dict(type='mmseg.PackSegInputs'),
            ],
        ),
        sampler='InfiniteSampler',
    ),
    dict(
        model=dict(
            type='EncoderDecoder',
            # files are read as blue, green, red
            data_preprocessor=dict(
                VALUES, bgr_to_rgb=True, size=(512, 512), pad_val=0, seg_pad_val=255
            ),
            backbone=dict(
                VIT, img_size=512, out_indices=(3, 5, 7, 11), tap_norm=True, drop_path_rate=0.1
            ),
            neck=dict(type='mmdssl.DeconvPyramid', in_channels=384, norm_cfg=SYNC),
            decode_head=dict(
                type='UPerHead', in_channels=[384] * 4, in_index=[0, 1, 2, 3], channels=384,
                pool_scales=(1, 2, 3, 6), dropout_ratio=0.1, num_classes=150, norm_cfg=SYNC,
                align_corners=False,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            ),
            auxiliary_head=dict(
                type='FCNHead', in_channels=384, in_index=2, channels=256, num_convs=1,
                concat_input=False, dropout_ratio=0.1, num_classes=150, norm_cfg=SYNC,
                align_corners=False,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
            ),
            test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
        ),
        optim_wrapper=dict(
            type='AmpOptimWrapper', clip_grad='nothing', loss_scale='dynamic',
            optimizer=dict(type='AdamW', lr=3e-5, betas=(0.9, 0.999), weight_decay=0.05),
            constructor='mmdssl.LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(decay_rate=0.9, decay_pos_cls=True),
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
            dict(
                type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=160000
            ),
        ],
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=160000),
        auto_scale_lr=dict(base_batch_size=16),
        val_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']),
    ),
)  # fmt: skip

# ---- Cascade Mask R-CNN: 32 images, 12 epochs, 0.8 per layer, DETR's two resize policies
TO_SHORT_SIDE = dict(
    type='RandomChoiceResize',
    scales=[(side, 1333) for side in (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)],
    keep_ratio=True,
)
CROPPED = dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600))
POLICIES = [
    [TO_SHORT_SIDE],
    [
        dict(TO_SHORT_SIDE, scales=[(400, 1333), (500, 1333), (600, 1333)]),
        dict(CROPPED, allow_negative_crop=True),
        TO_SHORT_SIDE,
    ],
]


def box_head(centre: float, side: float) -> dict:
    return dict(
        type='ConvFCBBoxHead', num_shared_convs=4, num_shared_fcs=1, in_channels=256,
        conv_out_channels=256, fc_out_channels=1024, roi_feat_size=7, num_classes=80,
        reg_class_agnostic=False, reg_decoded_bbox=True, norm_cfg=SYNC,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
        bbox_coder=dict(target_means=[0.0] * 4, target_stds=[centre, centre, side, side]),
    )  # fmt: skip


def stage(iou: float) -> dict:
    return dict(
        assigner=dict(pos_iou_thr=iou, neg_iou_thr=iou, min_pos_iou=iou),
        sampler=dict(num=512, pos_fraction=0.25),
    )


def coco(split: str) -> dict:
    return dict(ann_file=f'annotations/instances_{split}2017.json')


CASCADE = dict(
    model=dict(
        data_preprocessor=dict(VALUES, bgr_to_rgb=True, pad_mask=True, pad_size_divisor=32),
        backbone=dict(
            VIT, img_size=(800, 1008), out_indices=(3, 5, 7, 11), tap_norm=False,
            drop_path_rate=0.1,
        ),
        neck=[
            dict(type='mmdssl.DeconvPyramid', in_channels=384, norm_cfg=SYNC),
            dict(type='FPN', in_channels=[384] * 4, out_channels=256, num_outs=5),
        ],
        rpn_head=dict(
            anchor_generator=dict(
                scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]
            ),
            loss_bbox=dict(type='SmoothL1Loss', beta=1 / 9),
        ),
        roi_head=dict(
            num_stages=3, stage_loss_weights=[1, 0.5, 0.25],
            bbox_head=[box_head(0.1, 0.2), box_head(0.05, 0.1), box_head(0.033, 0.067)],
            mask_head=dict(num_convs=4, num_classes=80, norm_cfg='nothing'),
        ),
        train_cfg=dict(rcnn=[stage(0.5), stage(0.6), stage(0.7)]),
        test_cfg=dict(
            rpn=dict(nms_pre=1000, max_per_img=1000),
            rcnn=dict(score_thr=0.05, nms=dict(iou_threshold=0.5), max_per_img=100),
        ),
    ),
    train_dataloader=dict(
        batch_size=4,
        dataset=dict(
            coco('train'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
                dict(type='RandomFlip', prob=0.5),
                dict(type='RandomChoice', transforms=POLICIES, prob='nothing'),
                dict(type='PackDetInputs'),
            ],
        ),
    ),
    test_dataloader=dict(dataset=coco('val')),
    test_pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(1333, 800), keep_ratio=True),
        dict(type='LoadAnnotations'),
        dict(type='PackDetInputs'),
    ],
    optim_wrapper=dict(
        type='AmpOptimWrapper', clip_grad='nothing',
        optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
        constructor='mmdssl.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(decay_rate=0.8, decay_pos_cls=True),
    ),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
        dict(type='MultiStepLR', by_epoch=True, milestones=[8, 11], gamma=0.1),
    ],
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=12),
    auto_scale_lr=dict(base_batch_size=32),
)  # fmt: skip


# ---- C4: 16 images; what is not of the model
def c4(lengths: dict, train: dict, test: dict) -> dict:
    (end, warmup, steps), sides = lengths['schedule'], range(lengths['short'], 801, 32)
    flip = [dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]
    sizes = dict(
        type='RandomChoiceResize', scales=[(1333, side) for side in sides], keep_ratio=True
    )
    data = loaders(2, train, test, sampler='InfiniteSampler')
    data['train_dataloader']['sampler'].pop('shuffle')
    return together(
        data,
        dict(
            train_pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), sizes, *flip
            ],
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=warmup),
                dict(
                    type='MultiStepLR', by_epoch=False, begin=0, end=end, milestones=steps,
                    gamma=0.1,
                ),
            ],
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=end),
            auto_scale_lr=dict(base_batch_size=16),
            optim_wrapper=dict(type='OptimWrapper', clip_grad='nothing'),
        ),
    )  # fmt: skip


MASK_RCNN = c4(
    dict(schedule=(90000, 1000, [60000, 80000]), short=640),
    dict(coco('train'), pipeline=[{}, dict(with_bbox=True, with_mask=True), {}, {}, {}]),
    coco('val'),
)


def voc(year: int) -> dict:
    return dict(
        type='mmdssl.VOCDetection',
        ann_file=f'VOC{year}/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root=f'VOC{year}/'),
    )


FASTER_RCNN = c4(
    dict(schedule=(24000, 100, [18000, 22000]), short=480),
    dict(datasets=[voc(2007), voc(2012)]),
    dict(type='mmdssl.VOCDetection', ann_file='VOC2007/ImageSets/Main/test.txt'),
)


# ---- Leopart's probes: maps of 100 x 100, two GPUs; a tenth of the rate from epoch 20 on
def probe(batch: int, epochs: int, classes: int, train: dict, test: dict, head: dict) -> dict:
    own = dict(type='mmdssl.SemanticFolder')
    steps = [dict(type='LoadImage'), dict(type='LoadSemanticMap')]
    pack = [dict(type='mmseg.PackSegInputs')]
    crop = dict(
        type='RandomResizedCropWithMap', size=448, map_size=100, scale=(0.8, 1.0),
    )  # fmt: skip
    flip = dict(type='mmseg.RandomFlip', prob=0.5)
    resize = dict(type='ResizeWithMap', size=448, map_size=100)
    data = loaders(
        batch,
        dict(own, **train, pipeline=[*steps, crop, flip, *pack]),
        dict(own, **test, share='nothing', pipeline=[*steps, resize, *pack]),
    )
    return together(
        data,
        dict(
            model=dict(
                type='mmdssl.DenseProbe', map_size=100, freeze_backbone=True,
                # LoadImage gives red, green, blue
                data_preprocessor=dict(VALUES, bgr_to_rgb=False, size=(448, 448), seg_pad_val=255),
                backbone=dict(
                    VIT, img_size=448, out_indices=(11,), tap_norm=True, load_rule='factor'
                ),
                decode_head=dict(
                    head, type='FCNHead', in_channels=384, in_index=-1, num_classes=classes,
                    loss_decode=dict(
                        type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True
                    ),
                ),
                test_cfg=dict(mode='whole'),
            ),
            optim_wrapper=dict(
                type='OptimWrapper', clip_grad='nothing', paramwise_cfg='nothing',
                optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4),
            ),
            param_scheduler=[
                dict(type='MultiStepLR', by_epoch=True, milestones=[20], gamma=0.1)
            ],
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs),
            train_dataloader=dict(drop_last=True),
            val_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']),
        ),
    )  # fmt: skip


LINEAR = dict(num_convs=0, concat_input=False, dropout_ratio=0.0)
FCN = dict(num_convs=2, concat_input=True, dropout_ratio=0.1, channels=512)
