"""Does de-coupling a given backbone on photos make its features lean less on the background?

    mmdssl study photos/post_training --scale search --data-root PHOTOS --seeds 0
    mmdssl study photos/post_training --scale judge --data-root PHOTOS --seeds 1 2 3
    mmdssl study photos/post_training --scale judge --data-root PHOTOS --seeds 1 2 3 \
        --rows given untrained square-exchanged square-kept --measures transfer

MobileNetV2 of ImageNet (mmpretrain's mobilenet_v2_batch256_imagenet, in the current folder as
mobilenet_v2_imagenet.pth), minutes of a CPU core a run. ``search`` asks with the one half of
val2012, ``judge`` with the other: settings are chosen on the first, the second says what they are
worth.
What has come out: configs/photos/README.md.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mmdssl.studies import SCALES, Row, Setting, Study

SIDE = 160  # pixels at which objects are measured
HALVES = {'search': (1, 2), 'judge': (2, 2), 'smoke': (1, 2)}
# Whether all runs can be seen without the given net.
RANDOM = {'model.init': 'random'}
# With --measures transfer: a detector and a linear layer on label maps, the same for all rows.
JUDGES = (
    'transfer/photos_detection/faster-rcnn_mobilenet-v2-fpn_1xb8-600i_voc-photos.py',
    'transfer/photos_segmentation/linear_mobilenet-v2_1xb16-300i_voc-photos.py',
)
BRANCH = dict(type='DecouplingBranch', weight=0.5, sample_ratio=1.0)


def row(name: str, config: str, iters: int, base: str = '', **changes: Any) -> Row:
    """A row at all scales; ``options`` and ``steps`` are those of its setting."""
    options: Mapping[str, Any] = changes.pop('options', {})
    steps: Mapping[str, Any] = changes.pop('steps', {})
    asked = 'object_knn_dataloader.dataset'
    return Row(
        name=name,
        base=base,
        role='decoupled' if base else 'base',
        settings={
            scale: Setting(
                config=f'photos/{config}_photos.py',
                iters=iters,
                warmup=iters // 10,
                options={
                    f'{asked}.datasets.query.part': half,
                    f'{asked}.datasets.query_disturbed.part': half,
                    f'{asked}.pipeline.2.size': SIDE,
                    **options,
                    **(RANDOM if scale == 'smoke' else {}),
                },
                steps={'RandomResizedCropWithBoxes.size': 128, **steps},
                transfer=JUDGES,
                continues=True,
            )
            for scale, half in HALVES.items()
        },
        **changes,
    )


def distilled(
    name: str,
    *,
    lr: float = 0.03,
    kept: bool = False,
    iters: int = 60,
    side: int = 128,
    optional: bool = False,
    **options: Any,
) -> Row:
    """A row of self-distillation.

    Args:
        name: Of the row.
        lr: Learning rate.
        kept: Whether of X^D a square is kept, or all but a square.
        iters: Iterations of 16 photos.
        side: Of the views, in pixels.
        optional: Only trained when it is asked for.
        **options: Of the model.
    """
    model = dict(decoupling=dict(BRANCH, complement_ratio=float(kept)), **options)
    return row(
        name,
        'distill-d_mobilenet-v2-160px_1xb16-150i',
        iters,
        base='given',
        optional=optional,
        options={
            'model.backbone.frozen_stages': 3,
            'optim_wrapper.optimizer.lr': lr,
            **{f'model.{key}': value for key, value in model.items()},
        },
        steps={'RandomResizedCropWithBoxes.size': side},
    )


scale = dataclasses.replace(
    SCALES['photos-gpu'],
    purpose='a given MobileNetV2, one CPU core, minutes a run',
    bank_images=800,
    probes=dict(inter=100, background=300, intra=100),
    ratios=(0.0, 0.6),
    shares=(1.0,),
    workers=0,
)
densecl = 'densecl_mobilenet-v2-128px_1xb32-150i'
study = Study(
    title='Post-training of a given backbone on photos',
    measures=(),
    scales=dict.fromkeys(('search', 'judge'), scale),
    rows=[
        # Beside a frozen teacher nothing moves without the branch: the net as it was given.
        row(
            'given',
            'distill-d_mobilenet-v2-160px_1xb16-150i',
            1,
            options={'model.decoupling': None},
        ),
        # Nothing is learnt at rate 0, but BatchNorm gets to know the photos.
        row(
            'untrained',
            'distill-d_mobilenet-v2-160px_1xb16-150i',
            60,
            options={
                'model.decoupling': None,
                'model.norm_eval': False,
                'optim_wrapper.optimizer.lr': 0.0,
                **RANDOM,
            },
            optional=True,
        ),
        distilled('square-exchanged'),
        distilled('square-exchanged-low-lr', lr=0.01),
        distilled('square-exchanged-long', iters=240),
        distilled('square-exchanged-160px', side=160, optional=True),
        distilled('square-exchanged-batch-statistics', norm_eval=False),
        distilled('square-kept', kept=True),
        distilled('square-kept-low-lr', kept=True, lr=0.01, optional=True),
        row('densecl', densecl, 150),
        row('densecl-d', f'densecl-d{densecl.removeprefix("densecl")}', 150, base='densecl'),
    ],
)
