"""Pieces of the tables of published pre-training settings: colours, crops, masks, schedules."""

from functools import reduce
from typing import Any

from tests.configs.stated import merged


def together(*parts: dict) -> dict[str, Any]:
    return reduce(merged, parts)


def colours(saturation: float, hue: float, strength: float = 0.4, **blur: float) -> dict:
    """Jitter in 0.8 and grey in 0.2 of the views; sigma of the blur 0.1 to 2."""
    jitter = dict(brightness=strength, contrast=strength, saturation=saturation, hue=hue, prob=0.8)
    return dict(jitter=jitter, grayscale=0.2, blur=dict(sigma=(0.1, 2.0), **blur))


BYOL = [
    dict(colours(0.2, 0.1, prob=1.0), solarize='nothing'),
    dict(colours(0.2, 0.1, prob=0.1), solarize=dict(prob=0.2, threshold=0.5)),
]
MOCO = [dict(colours(0.4, 0.1, prob=0.5), solarize='nothing')] * 2
LEOPART = [dict(colours(0.8, 0.2, strength=0.8, prob=0.5), solarize='nothing')]
LOCAL = dict(colours(0.2, 0.1, prob=0.5), solarize='nothing')


def crop(scale, interpolation, size=224) -> dict:
    return dict(
        type='RandomResizedCropWithBoxes',
        size=size,
        scale=scale,
        ratio=(3 / 4, 4 / 3),
        interpolation=interpolation,
    )


FLIP = dict(type='RandomFlipWithBoxes', prob=0.5, direction='horizontal')
WHOLE = dict(type='ResizeWithBoxes', size=224, interpolation='bilinear')


def rcc(ratio, **more) -> dict:
    """Cut areas inside the regions, the share covered taken into account."""
    rule = dict(ratio_rule='covered', scale_mode='area', place='inside')
    return dict(type='RegionCollaborativeCutout', ratio=ratio, **rule, **more)


def grid(key) -> dict:
    return dict(type='GridRegions', grid=3, scale=(0.12, 0.3), aspect=(0.5, 2.0), key=key)


def branch_mask(ratio, mask_size=None) -> list:
    key = dict(key='dc_mask', regions_key='dc_regions', empty_prob=0.0, stream='dc')
    return [grid('dc_regions'), rcc(ratio, mask_size=mask_size, **key)]


def pipeline(*steps, keys=()) -> dict:
    pack = dict(type='PackViews', keys=keys) if keys else dict(type='PackViews')
    return dict(
        train_dataloader=dict(dataset=dict(pipeline=[dict(type='LoadImage'), *steps, pack]))
    )


def views(counts, *each) -> dict:
    return dict(type='MultiViewWithBoxes', num_views=counts, pipelines=each)


def run(gpus, batch, epochs, seen, order, **more) -> dict:
    """What every run states: images on every GPU, epochs, colours of the views, input values."""
    return merged(
        dict(
            train_dataloader=dict(
                batch_size=batch,
                drop_last=True,
                sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=dict(type='ImageFolder', data_root='data/coco/train2017/'),
            ),
            train_cfg=dict(max_epochs=epochs),
            gpus=gpus,
            model=dict(
                data_preprocessor=dict(
                    mean=(123.675, 116.28, 103.53),  # red, green, blue, as images are read
                    std=(58.395, 57.12, 57.375),
                    policies=seen,
                    aug_order=order,
                )
            ),
        ),
        more,
    )


def warm(peak_twice: bool, epochs: int, end: float, start: dict | None = None) -> dict:
    start = start or dict(warmup_start=0.0, warmup_ratio=None)
    shape = dict(peak_twice=peak_twice, eta_min=end, convert_to_iter_based=True, **start)
    warmup = dict(warmup_epochs=epochs) if epochs else dict(warmup_epochs=None)
    return dict(type='WarmupCosine', param_name='lr', **warmup, **shape)


def decay_to(end: float) -> dict:
    return dict(
        type='WarmupCosine',
        param_name='weight_decay',
        eta_min=end,
        warmup_epochs=None,
        convert_to_iter_based=True,
    )


def branch(share, seen, loss_weighting='convex', **more) -> dict:
    """0.3 L_D; the background comes from the batch, and the student alone sees it."""
    common = dict(
        type='DecouplingBranch',
        weight=0.3,
        objective='point',
        background='flip',
        reaugment=False,
        foreground_threshold=0.5,
    )
    settings = dict(
        sample_ratio=share,
        key_views=seen,
        loss_weighting=loss_weighting,
        mask_source='fresh',
        **common,
    )
    return dict(model=dict(decoupling={**settings, 'complement_ratio': 0.0, **more}))
