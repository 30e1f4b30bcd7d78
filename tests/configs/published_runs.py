"""What papers and public code state of every published pre-training run; never read off a config.

"Mind Your Augmentation" (ICLR 2024), "De-coupling and De-positioning Dense Self-supervised
Learning", and the public code of iBOT, SoCo, DenseCL, MaskAlign and Leopart.
"""

from tests.configs import published_parts as part
from tests.configs.published_parts import (
    FLIP,
    branch,
    branch_mask,
    crop,
    decay_to,
    grid,
    pipeline,
    rcc,
    run,
    together,
    views,
    warm,
)

VIT = dict(arch='deit-small', patch_size=16, img_size=224, drop_path_rate=0.1, init_std=0.02)
RESNET = dict(type='ResNet', depth=50)
HALF = dict(type='AmpPerParamClipOptimWrapper', dtype='float16', loss_scale='dynamic')
UNCLIPPED = dict(clip_grad='nothing', freeze='nothing')
QUARTER, EIGHTH = 0.25, 0.125


def lasting(table: dict, epochs: int) -> dict:
    return together(table, dict(train_cfg=dict(max_epochs=epochs)))


# ---- iBOT: rate 1e-3 per 256 images, decay from 0.04 to 0.4, every tensor clipped at 3
IBOT = dict(
    model=dict(
        type='IBOT', num_global_views=2, momentum=(0.996, 1.0), correspondence=1,
        backbone=dict(type='DenseViT', **VIT),
        head=dict(
            in_channels=384, hidden_channels=2048, bottleneck_channels=256, out_channels=8192,
            num_layers=3, shared_head=True, norm_last_layer=False, init_std=0.02,
        ),
        loss=dict(
            student_temp=0.1, teacher_temp=(0.04, 0.07), teacher_patch_temp=(0.04, 0.07),
            warmup_epochs=80, pred_start_epoch=0, center_momentum=0.9, patch_center_momentum=0.9,
            loss_weights=(1.0, 1.0),
        ),
    ),
    optim_wrapper=dict(
        HALF, paramwise_cfg='nothing', clip_grad=dict(type='per_param', max_norm=3.0),
        freeze=dict(keys=('head.last_layer',), epochs=1),
        optimizer=dict(type='AdamW', lr=1e-3 * 512 / 256, betas=(0.9, 0.999), weight_decay=0.04),
    ),
    param_scheduler=[warm(True, 10, 1e-6), decay_to(0.4)],
)  # fmt: skip
IBOT = together(run(8, 64, 800, part.BYOL, 'ibot_d'), IBOT)
IBOT_CROP = [crop((0.14, 1.0), 'bicubic'), FLIP]
BLOCKS = dict(
    type='BlockwiseMask', ratio=(0.1, 0.5), empty_prob=0.5, mask_size=(14, 14), min_area=None,
    aspect=(0.3, 1 / 0.3), key='mask',
)  # fmt: skip
MIM_RCC = [grid('regions'), rcc((0.2, 0.6), empty_prob=0.5, mask_size=(14, 14))]
IBOT_BLOCK = together(IBOT, pipeline(views([2], [*IBOT_CROP, BLOCKS]), keys=('mask',)))
IBOT_RCC = together(IBOT, pipeline(views([2], [*IBOT_CROP, *MIM_RCC]), keys=('mask',)))
IBOT_D = together(
    IBOT,
    pipeline(
        views([2], [*IBOT_CROP, *MIM_RCC, *branch_mask((0.2, 0.6), (14, 14))]),
        keys=('mask', 'dc_mask'),
    ),
    branch(QUARTER, (0, 1), 'additive', complement_ratio=0.5, mix_level='patch_embed'),
)
IBOT_MC = together(
    IBOT,
    pipeline(
        views(
            [2, 4],
            [crop((0.25, 1.0), 'bicubic'), FLIP, BLOCKS],
            [crop((0.05, 0.25), 'bicubic', 96), FLIP],
        ),
        keys=('mask',),
    ),
    dict(model=dict(data_preprocessor=dict(policies=[*part.BYOL, *[part.LOCAL] * 4]))),
)

# ---- DenseCL, MoCo v2: SGD 0.3 at 256 images, biases and norms decay too, no warm-up, float32
SGD = dict(
    optim_wrapper=dict(
        UNCLIPPED, type='OptimWrapper',
        optimizer=dict(type='SGD', lr=0.3, momentum=0.9, weight_decay=1e-4),
        paramwise_cfg=dict(
            custom_keys=dict(backbone=dict(decay_mult=1.0), neck=dict(decay_mult=1.0))
        ),
    ),
    param_scheduler=[dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True)],
)  # fmt: skip
QUEUE = dict(temperature=0.2, queue_length=65536, momentum=(0.999, 0.999))
CROP = [crop((0.2, 1.0), 'bilinear'), FLIP]
DENSECL = together(
    run(8, 32, 800, part.MOCO, 'ibot'),
    SGD,
    dict(
        model=dict(
            QUEUE, type='DenseCL', loss_lambda=0.5, correspondence=1, shuffle_bn=True,
            backbone=dict(RESNET, norm_cfg=dict(type='BN'), zero_init_residual=False),
            neck=dict(
                type='DenseCLNeck', in_channels=2048, hid_channels=2048, out_channels=128,
                num_grid=None,
                init_cfg=dict(
                    type='Kaiming', layer='Linear', mode='fan_in', distribution='normal', a=0,
                    nonlinearity='relu',
                ),
            ),
        )
    ),
    pipeline(views([2], CROP)),
)  # fmt: skip
DENSECL_D = together(
    DENSECL,
    pipeline(views([2], [*CROP, *branch_mask((0.3, 0.5))]), keys=('dc_mask',)),
    branch(QUARTER, (1,), mix_level='pixel'),
)
MOCOV2 = together(DENSECL, dict(model=dict(loss_lambda=0)))

# ---- The point-level baseline: DenseCL, positives at the same place. One sentence of its paper;
# the rest is a choice of this package
PLACE = ('crop_box', 'flip', 'ori_shape')
POINT = together(
    DENSECL,
    dict(model=dict(correspondence='place', match='nearest')),
    pipeline(views([2], CROP), keys=PLACE),
)
POINT_D = together(
    POINT,
    pipeline(views([2], [*CROP, *branch_mask((0.3, 0.5))]), keys=(*PLACE, 'dc_mask')),
    branch(QUARTER, (1,), mix_level='pixel'),
)

# ---- PixPro: its code, trained as SlotCon's code trains on COCO: rate 1 per 256 images
PIXPRO_CROP = [crop((0.08, 1.0), 'bilinear'), FLIP]
PIXPRO = together(
    run(8, 64, 800, part.BYOL, 'ibot'),
    dict(
        model=dict(
            type='PixPro', momentum=(0.99, 1.0), pos_ratio=0.7, coords='pixpro', ppm_scope='all',
            instance_weight=0.0,
            backbone=dict(RESNET, zero_init_residual=True),
            neck=dict(
                type='PointMLP', in_channels=2048, hidden_channels=4096, out_channels=256,
                num_layers=2, act='ReLU', with_norm=True, last_bias=True, init_cfg=[],
            ),
            head=dict(type='PixelPropagation', channels=256, layers=1, power=2.0),
        ),
        optim_wrapper=dict(
            HALF, **UNCLIPPED, paramwise_cfg='nothing',
            optimizer=dict(
                type='SoCoLARS', lr=1.0 * 512 / 256, momentum=0.9, weight_decay=1e-5,
                trust=1e-3, eps=1e-8,
            ),
        ),
        param_scheduler=[warm(False, 5, 1e-6, start=dict(warmup_start=0.0, warmup_ratio=0.01))],
        sync_bn='torch',
    ),
    pipeline(views([2], PIXPRO_CROP), keys=PLACE),
)  # fmt: skip
PIXPRO_D = together(
    PIXPRO,
    pipeline(views([2], [*PIXPRO_CROP, *branch_mask((0.3, 0.5))]), keys=(*PLACE, 'dc_mask')),
    branch(EIGHTH, (0, 1), mix_level='pixel'),
)

# ---- BYOL: the first stage of ORL on COCO, SGD 0.4 at 512 images, decay of everything
NO_LAST = dict(
    type='NonLinearNeck', hid_channels=4096, out_channels=256, num_layers=2, with_bias=True,
    with_last_bias=False, with_last_bn=False,
    init_cfg=[
        dict(
            type='Kaiming', layer='Linear', mode='fan_in', distribution='normal', a=0,
            nonlinearity='relu',
        ),
        dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
    ],
)  # fmt: skip
EVERYTHING = dict(
    paramwise_cfg=dict(
        custom_keys={part: dict(decay_mult=1.0) for part in ('backbone', 'neck', 'head')}
    )
)
BYOL = together(
    run(8, 64, 800, part.BYOL, 'ibot'),
    dict(
        model=dict(
            type='BYOL', momentum=(0.99, 1.0), momentum_step='same',
            backbone=dict(RESNET, zero_init_residual=False),
            neck=dict(NO_LAST, in_channels=2048, with_avg_pool=True),
            head=dict(
                type='LatentPredictHead', loss=dict(type='CosineSimilarityLoss'),
                predictor=dict(NO_LAST, in_channels=256, with_avg_pool=False),
            ),
        ),
        optim_wrapper=dict(
            HALF, **UNCLIPPED, **EVERYTHING,
            optimizer=dict(type='SGD', lr=0.4, momentum=0.9, weight_decay=1e-4),
        ),
        param_scheduler=[warm(False, 4, 0.0, start=dict(warmup_start=0.0, warmup_ratio=1e-4))],
        sync_bn='torch',
    ),
    pipeline(views([2], PIXPRO_CROP)),
)  # fmt: skip
BYOL_D = together(
    BYOL,
    pipeline(views([2], [*PIXPRO_CROP, *branch_mask((0.3, 0.5))]), keys=('dc_mask',)),
    branch(EIGHTH, (0, 1), mix_level='pixel'),
)

# ---- ReSim: its code, trained as DenseCL is on COCO
RESIM_CROP = crop((0.2, 1.0), 'bilinear')
RESIM = together(
    run(8, 32, 800, part.MOCO, 'ibot_d'),
    SGD,
    dict(
        optim_wrapper=EVERYTHING,
        model=dict(
            QUEUE, type='ReSim', shuffle_bn=True, min_kept=0.5,
            backbone=dict(
                RESNET, norm_cfg=dict(type='BN'), zero_init_residual=False, out_indices=(1, 2, 3)
            ),
            neck=dict(
                type='MoCoV2Neck', in_channels=2048, hid_channels=2048, out_channels=128,
                with_avg_pool=True, init_cfg=[],
            ),
            head=dict(
                type='WindowPyramid', in_channels=(512, 1024, 2048), out_channels=256,
                levels=('c4', 'c3'), norm_cfg=None, init_cfg=None,
            ),
        ),
    ),
    pipeline(FLIP, views([2], [RESIM_CROP]), keys=PLACE[:2]),
)  # fmt: skip
ONE_LEVEL = dict(
    model=dict(backbone=dict(out_indices=(2, 3)), head=dict(in_channels=(1024,), levels=('c4',)))
)
RESIM_C4 = together(RESIM, ONE_LEVEL)
RESIM_D = together(
    RESIM,
    pipeline(
        FLIP, views([2], [RESIM_CROP, *branch_mask((0.3, 0.5))]), keys=(*PLACE[:2], 'dc_mask')
    ),
    branch(QUARTER, (1,), mix_level='pixel'),
)
RESIM_D_C4 = together(RESIM_D, ONE_LEVEL)

# ---- SoCo: rate 2 per 256 images of the paper, 8.0 at 1024 by the linear rule of SoCo's own runs
MLP = dict(
    type='NonLinearNeck', hid_channels=4096, out_channels=256, num_layers=2, with_bias=True,
    with_last_bias=True, with_last_bn=False, with_avg_pool=False,
)  # fmt: skip
SOCO_VIEWS = [[part.WHOLE, FLIP], [crop((0.6, 1.0), 'bilinear'), FLIP]]
KEEP = dict(type='EmptyMask', key='erase')
SQUARES = dict(type='SquareCutout', ratio=(0.1, 0.3), prob=0.5, key='erase', regions_key='boxes')


def objects(seen: list, finish: list, *, keys: tuple) -> dict:
    """Four proposals that both views hold; five tries."""
    found = dict(scale=300, sigma=0.9, min_size=100, min_side=32, max_aspect=3, size=(0.3, 0.8))
    common = dict(type='CommonBoxViews', num_views=[1, 1], num_boxes=4, tries=5)
    load = dict(type='LoadProposals', file='data/coco/proposals/ss_train2017.npz', expect=found)
    return pipeline(
        load, dict(common, pipelines=seen, finish=finish), keys=('boxes', 'box_ids', *keys)
    )


SOCO = together(
    run(16, 64, 800, part.BYOL, 'ibot'),
    dict(
        model=dict(
            type='SoCo', momentum=(0.99, 1.0), roi_size=14, dense_reduction='sum', min_kept=0.05,
            data_preprocessor=dict(erase_key='erase'),
            backbone=dict(RESNET, zero_init_residual=True),
            neck=dict(MLP, in_channels=2048), head=dict(MLP, in_channels=256),
        ),
        optim_wrapper=dict(
            HALF, **UNCLIPPED, paramwise_cfg='nothing',
            optimizer=dict(
                type='SoCoLARS', lr=2.0 * 1024 / 256, momentum=0.9, weight_decay=1e-5,
                trust=1e-3, eps=1e-8,
            ),
        ),
        param_scheduler=[warm(False, 10, 1e-6, start=dict(warmup_start=0.0, warmup_ratio=0.01))],
        sync_bn='torch',
    ),
    objects(SOCO_VIEWS, [[KEEP], [SQUARES]], keys=('erase',)),
)  # fmt: skip
BOXES_CUT = rcc((0.3, 0.5), key='dc_mask', regions_key='regions', stream='dc', mask_size=None)
SOCO_D = together(
    SOCO,
    objects(SOCO_VIEWS, [[KEEP, BOXES_CUT], [SQUARES, BOXES_CUT]], keys=('erase', 'dc_mask')),
    branch(EIGHTH, (0, 1), mix_level='pixel'),  # 0.25 B additional crops, Table 8
)
RCC_ERASE = rcc((0.3, 0.5), key='erase', regions_key='regions', empty_prob=0.0, mask_size=None)
SOCO_RCC = together(SOCO, objects(SOCO_VIEWS, [[KEEP], [RCC_ERASE]], keys=('erase',)))

# ---- D3SSL: ranges of the paper, DenseCL's optimisation and MoCo v2's colours and queue
PRC = dict(
    type='ProposalRandomCutout', ratio=(0.2, 0.5), scale_mode='area', regions_key='regions'
)  # fmt: skip
PRM = dict(
    type='ProposalRandomMask', scale=(0.2, 0.6), aspect=(3 / 4, 4 / 3), prm_mode='reveal',
    regions_key='regions',
)  # fmt: skip
RBJ = dict(type='RestrictedBoxJitter', ratio=0.1, prob=1.0)
HALF_SIZE = dict(key='erase_small', mask_size=112)
FIRST = [dict(PRC, key='erase'), dict(PRM, key='erase'), RBJ]
SECOND = [KEEP, dict(PRC, **HALF_SIZE), dict(PRM, **HALF_SIZE), RBJ]
MOVED = dict(type='ShiftedForeground', boxes_key='regions', cutout=dict(ratio=(0.2, 0.5)))
D3SSL_VIEWS = [[part.WHOLE, FLIP], [crop((0.4, 1.0), 'bilinear'), FLIP]]
D3SSL = together(
    run(8, 32, 800, part.MOCO, 'ibot'),
    SGD,
    dict(
        model=dict(
            QUEUE, type='D3SSL', num_boxes=4, small_size=112, roi_size=14, small_roi_size=7,
            with_decoupling_loss=True, with_depositioning_loss=True,
            data_preprocessor=dict(erase_key='erase'),
            backbone=dict(RESNET, norm_cfg=dict(type='SyncBN'), zero_init_residual=False),
            neck=dict(
                type='MoCoV2Neck', in_channels=2048, hid_channels=2048, out_channels=128,
                with_avg_pool=False,
            ),
        )
    ),
    objects(
        D3SSL_VIEWS, [FIRST, [*SECOND, MOVED]], keys=('erase', 'erase_small', 'paste', 'shift')
    ),
)  # fmt: skip
D3SSL_ALONE = together(
    D3SSL,
    objects(D3SSL_VIEWS, [FIRST, SECOND], keys=('erase', 'erase_small')),
    dict(model=dict(with_depositioning_loss=False)),
)
SOCO_AUG = together(SOCO, objects(SOCO_VIEWS, [FIRST, FIRST], keys=('erase',)))

# ---- MaskAlign: rate 3e-4 per 256 images, a tenth of the epochs warm up, no colours
CLIP = dict(  # ViT-B/16
    mean=[round(255 * one, 3) for one in (0.48145466, 0.4578275, 0.40821073)],
    std=[round(255 * one, 3) for one in (0.26862954, 0.26130258, 0.27577711)],
    backbone=dict(
        arch='base',
        patch_size=16,
        pre_norm=True,
        img_size=224,
        out_type='raw',
        norm_cfg=dict(type='LN', eps=1e-5),
        layer_cfgs=dict(act_cfg=dict(type='mmpretrain.QuickGELU')),
    ),
)
ALIGN_CROP = [crop((0.2, 1.0), 'bicubic'), FLIP]
MASKALIGN = together(
    run(8, 128, 800, None, 'ibot_d'),
    dict(
        model=dict(
            type='MaskAlign', mask_ratio=0.7, masking='attentive', layers='top5',
            backbone=dict(type='SinCosViT', **VIT), teacher=dict(CLIP, type='FrozenTeacher'),
        ),
        optim_wrapper=dict(
            HALF, **UNCLIPPED,
            paramwise_cfg=dict(custom_keys={'head.matrix': dict(decay_mult=0.0)}),
            optimizer=dict(
                type='AdamW', lr=3e-4 * 1024 / 256, betas=(0.9, 0.95), weight_decay=0.05
            ),
        ),
        param_scheduler=[warm(False, 80, 1e-5)],
    ),
    pipeline(views([1], ALIGN_CROP)),
)  # fmt: skip
MASKALIGN_D = together(
    MASKALIGN,
    pipeline(views([1], [*ALIGN_CROP, *branch_mask((0.3, 0.5), (14, 14))]), keys=('dc_mask',)),
    branch(QUARTER, (0,), mix_level='pixel'),
)


def from_dino(run_of_clip: dict) -> dict:
    """The other teacher, normalised as ImageNet and so as the views are."""
    vit = dict(type='DenseViT', arch='deit-base', patch_size=16, img_size=224, norm_cfg=None)
    teacher = dict(type='FrozenTeacher', mean=None, std=None, backbone=vit)
    return {**run_of_clip, 'model': {**run_of_clip['model'], 'teacher': teacher}}


# ---- Leopart: from DINO, rate 1e-4 for the head and a tenth for the rest, float32
SIX = dict(data_preprocessor=dict(num_views=[6]))
BOXES = ('boxes_in_global', 'boxes_in_other')


def overlapping(*each: list) -> dict:
    least = dict(num_global_views=2, min_overlap=0.01, min_overlap_global=0.02)
    return dict(type='OverlappingCrops', num_views=[2, 4], pipelines=each, **least)


GLOBAL, NEAR = [crop((0.25, 1.0), 'bilinear')], [crop((0.05, 0.25), 'bilinear', 96)]
LEOPART_50 = together(
    run(2, 32, 50, part.LEOPART, 'ibot'),
    dict(
        model=dict(
            SIX, type='Leopart', temperature=0.1, epsilon=0.05, sinkhorn_iterations=3,
            queue_length=8192, queue_per_image=10, loss_mask='foreground', attention_mass=0.6,
            mask_tolerance=1e-4, roi_size=7, momentum=(0.9995, 1.0), num_global_views=2,
            backbone=dict(type='DenseViT', with_mask_token=False, **VIT),
            head=dict(
                in_channels=384, hidden_channels=2048, bottleneck_channels=256, num_layers=3,
                num_prototypes=300, init_std=0.02,
            ),
        ),
        optim_wrapper=dict(
            UNCLIPPED, type='OptimWrapper',
            paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
            optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.04),
        ),
        param_scheduler=[warm(True, 0, 0.0), decay_to(0.5)],
    ),
    pipeline(overlapping(GLOBAL, NEAR), keys=BOXES),
)  # fmt: skip
LEOPART_D = together(
    LEOPART_50,
    pipeline(
        overlapping([*GLOBAL, *branch_mask((0.3, 0.5), (14, 14))], NEAR), keys=(*BOXES, 'dc_mask')
    ),
    branch(QUARTER, (0, 1), mix_level='pixel'),
)

# ---- SlotCon: rate 1 per 256 images, LARS without an epsilon, half precision
SLOT_MLP = dict(
    type='PointMLP', hidden_channels=4096, out_channels=256, num_layers=3, act='GELU',
    with_norm=True, last_bias=True,
)  # fmt: skip
LOCATED = ('crop_box', 'flip')


def pairs_of_crops(each: list, *, keys: tuple, **settings) -> dict:
    return pipeline(dict(type='OverlappingPairs', pipelines=[each], **settings), keys=keys)


SLOT_PAIR = dict(num_views=[2], pairs=[(0, 1)], redraw='second', min_share=0.01, tries=10)
SLOT_CROP = [crop((0.08, 1.0), 'bicubic'), FLIP]
SLOTCON = together(
    run(8, 64, 800, part.BYOL, 'ibot'),
    dict(
        model=dict(
            type='SlotCon', momentum=(0.99, 1.0), group_weight=0.5, student_temperature=0.1,
            teacher_temperature=0.07, contrast_temperature=0.2, centre_momentum=0.9,
            backbone=dict(RESNET, zero_init_residual=True),
            neck=dict(SLOT_MLP, in_channels=2048, conv=True),
            head=dict(type='SlotHead', in_channels=256, num_slots=256, temperature=0.07),
            predictor=dict(SLOT_MLP, in_channels=256, conv=False),
        ),
        optim_wrapper=dict(
            HALF, **UNCLIPPED, paramwise_cfg='nothing',
            optimizer=dict(
                type='SoCoLARS', lr=1.0 * 512 / 256, momentum=0.9, weight_decay=1e-5,
                trust=1e-3, eps=0.0,
            ),
        ),
        param_scheduler=[warm(False, 5, 1e-6, start=dict(warmup_start=0.0, warmup_ratio=0.01))],
        sync_bn='torch',
    ),
    pairs_of_crops(SLOT_CROP, keys=LOCATED, **SLOT_PAIR),
)  # fmt: skip
SLOTCON_D = together(
    SLOTCON,
    pairs_of_crops([*SLOT_CROP, *branch_mask((0.3, 0.5))], keys=(*LOCATED, 'dc_mask'), **SLOT_PAIR),
    branch(EIGHTH, (0, 1), mix_level='pixel'),
)

# ---- NeCo: Leopart's crops and rates, from DINOv2 with registers
FAR, CLOSE = [crop((0.25, 1.0), 'bilinear', 518)], [crop((0.05, 0.25), 'bilinear', 98)]
NECO = together(
    LEOPART_50,
    run(1, 64, 25, part.LEOPART, 'ibot'),
    dict(
        model=dict(
            SIX, type='NeCo', similarity='cosine', steepness=(100.0, 100.0), queue_length=8192,
            queue_per_image=10, roi_size=7, momentum=(0.9995, 1.0), num_global_views=2,
            backbone=dict(VIT, patch_size=14, img_size=518, registers=4),
            head=dict(num_prototypes=None),
        ),
    ),
    pipeline(overlapping(FAR, CLOSE), keys=BOXES),
)  # fmt: skip
for unused in ('temperature', 'epsilon', 'sinkhorn_iterations', 'loss_mask', 'attention_mass',
               'mask_tolerance'):  # fmt: skip
    NECO['model'].pop(unused)
NECO_D = together(
    NECO,
    pipeline(
        overlapping([*FAR, *branch_mask((0.3, 0.5), (37, 37))], CLOSE), keys=(*BOXES, 'dc_mask')
    ),
    branch(QUARTER, (0, 1), mix_level='pixel'),
)

# ---- PLRC: the method from its code, corrected; the run is ours, DenseCL's
POINTS = dict(
    type='RegionPoints', views=(0, 2), grid=4, map_size=56, num_points=32, num_other_regions=0,
    map_flip='view',
)  # fmt: skip


def regions(each: list, *, keys: tuple) -> dict:
    three = dict(num_views=[3], pairs=[(0, 1), (2, None)], redraw='both', min_share=0.5, tries=101)
    return pipeline(dict(type='OverlappingPairs', pipelines=[each], **three), POINTS, keys=keys)


PLACED = (*LOCATED, 'ori_shape', 'points')
PLRC = together(
    run(8, 32, 800, [*part.MOCO, part.MOCO[0]], 'ibot'),
    SGD,
    dict(
        model=dict(
            QUEUE, type='PLRC', image_weight=0.7, contrast_weight=0.3, distill_weight=0.3,
            base_temperature=0.07, num_points=16, point_grid=56,
            key_points='drawn', intra_image_negatives=False,
            student_temperature=0.1, teacher_temperature=(0.04, 0.07), warmup_epochs=30,
            centre_momentum=0.9, affinity='official', distill_grid=56, pair_ratio=0.5,
            max_pairs_per_image=None, shuffle_bn=True, release_quirks=(),
            backbone=dict(RESNET, norm_cfg=dict(type='BN'), zero_init_residual=True),
            neck=dict(
                type='PointMLP', in_channels=2048, hidden_channels=2048, out_channels=128,
                num_layers=2, act='ReLU', with_norm=False, conv=True,
            ),
            head=dict(
                type='PrototypeScores', num_prototypes=4096,
                projector=dict(
                    type='PointMLP', in_channels=2048, hidden_channels=2048, out_channels=256,
                    num_layers=3, act='ReLU', with_norm=True, conv=True,
                ),
            ),
        ),
        optim_wrapper=dict(
            paramwise_cfg=dict(custom_keys=dict(head=dict(decay_mult=1.0))),
        ),
    ),
    regions(CROP, keys=PLACED),
)  # fmt: skip
PLRC_D = together(
    PLRC,
    regions([*CROP, *branch_mask((0.3, 0.5))], keys=(*PLACED, 'dc_mask')),
    branch(QUARTER, (2,), mix_level='pixel'),
)

# ---- Self-EMD: ours; heads, colours and the run of ORL's BYOL on COCO
EMD_MLP = dict(
    type='PointMLP', hidden_channels=4096, out_channels=256, num_layers=2, act='ReLU', conv=True,
    with_norm=True, last_bias=False,
)  # fmt: skip
EMD_CROP = [crop((0.08, 1.0), 'bilinear'), FLIP]
SELFEMD = together(
    run(8, 64, 800, part.BYOL, 'ibot'),
    dict(
        model=dict(
            type='SelfEMD', epsilon=0.05, rounds=10, weight_floor=1e-3, momentum=(0.99, 1.0),
            backbone=dict(RESNET, zero_init_residual=False),
            neck=dict(EMD_MLP, in_channels=2048), head=dict(EMD_MLP, in_channels=256),
        ),
        optim_wrapper=dict(
            HALF, **UNCLIPPED,
            optimizer=dict(type='SGD', lr=0.4, momentum=0.9, weight_decay=1e-4),
            paramwise_cfg=dict(
                custom_keys={name: dict(decay_mult=1.0) for name in ('backbone', 'neck', 'head')}
            ),
        ),
        param_scheduler=[warm(False, 4, 0.0, start=dict(warmup_start=0.0, warmup_ratio=1e-4))],
        sync_bn='torch',
    ),
    pipeline(views([2], EMD_CROP)),
)  # fmt: skip
SELFEMD_D = together(
    SELFEMD,
    pipeline(views([2], [*EMD_CROP, *branch_mask((0.3, 0.5))]), keys=('dc_mask',)),
    branch(EIGHTH, (0, 1), mix_level='pixel'),
)
