"""Images per second on one core: two 224 px views of COCO photographs, ours against mmpretrain's.

Ours is the worker part of iBOT-D: decode, two crops, flips, regions, MIM and de-coupling masks,
uint8 packing. Colours and normalisation follow batched on the training device; one row does them
on the same CPU core. mmpretrain's transforms make the same two views complete, image by image
with Pillow. Both run in turn within one process, on the same files; times are CPU time.

The worker part of SoCo and of its masks is compared with its two views alone: what proposals,
redrawn crops and masks of 224 px cost.
"""

import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import torch
from mmengine.dataset import default_collate
from mmengine.registry import DefaultScope

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.models.data_preprocessors.multiview import MultiViewPreprocessor

IMAGES, BATCH, PROPOSALS = 64, 32, 100
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
JITTER = dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)


def worker_pipeline() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The worker part of iBOT-D."""
    masks = dict(type='RegionCollaborativeCutout', ratio=(0.2, 0.6), mask_size=(14, 14))
    view = [
        dict(type='RandomResizedCropWithBoxes', size=224, scale=(0.14, 1.0)),
        dict(type='RandomFlipWithBoxes'),
        dict(type='GridRegions'),
        dict(masks, empty_prob=0.5),
        dict(masks, key='dc_mask', stream='dc'),
    ]
    return build_pipeline(
        [
            dict(type='LoadImage'),
            dict(type='MultiViewWithBoxes', num_views=[1, 1], pipelines=[view, view]),
            dict(type='PackViews', keys=('mask', 'dc_mask')),
        ]
    )


def soco_pipeline(
    *, boxes: bool = True, branch: bool = False
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The worker part of SoCo.

    Args:
        boxes: with proposals, common boxes and cutout; without, the two views alone.
        branch: also draw the masks of the de-coupling branch.
    """
    flip = dict(type='RandomFlipWithBoxes')
    views = [
        [dict(type='ResizeWithBoxes', size=224, interpolation='bilinear'), flip],
        [
            dict(
                type='RandomResizedCropWithBoxes',
                size=224,
                scale=(0.6, 1.0),
                interpolation='bilinear',
            ),
            flip,
        ],
    ]
    if not boxes:
        plain = dict(type='MultiViewWithBoxes', num_views=[1, 1], pipelines=views)
        return build_pipeline([dict(type='LoadImage'), plain, dict(type='PackViews')])
    mask = [
        dict(type='RegionCollaborativeCutout', ratio=(0.3, 0.5), key='dc_mask', stream='dc')
    ] * branch
    finish = [[dict(type='EmptyMask', key='erase'), *mask], [dict(type='SquareCutout'), *mask]]
    return build_pipeline(
        [
            dict(type='LoadImage'),
            _some_proposals,
            dict(type='CommonBoxViews', num_views=[1, 1], pipelines=views, finish=finish),
            dict(type='PackViews', keys=('boxes', 'box_ids', 'erase') + ('dc_mask',) * branch),
        ]
    )


def _some_proposals(results: dict[str, Any]) -> dict[str, Any]:
    """About the boxes that selective search leaves in a rich COCO photo, in number and size."""
    rng = np.random.default_rng(results['sample_idx'])
    height, width = results['img'].shape[:2]
    half = rng.uniform(0.15, 0.4, (PROPOSALS, 2))
    centre = half + rng.random((PROPOSALS, 2)) * (1 - 2 * half)
    shares = np.concatenate([centre - half, centre + half], axis=1)
    boxes = (shares * [width - 1, height - 1, width - 1, height - 1]).astype(np.float32)
    return {**results, 'proposals': boxes}


def colour_step() -> MultiViewPreprocessor:
    """Colours of iBOT-D and normalisation, batched."""
    view = dict(jitter=dict(JITTER, prob=0.8), grayscale=0.2)
    return MultiViewPreprocessor(
        mean=MEAN,
        std=STD,
        policies=[
            dict(view, blur=dict(prob=1.0, sigma=(0.1, 2.0))),
            dict(
                view,
                blur=dict(prob=0.1, sigma=(0.1, 2.0)),
                solarize=dict(prob=0.2, threshold=0.5),
            ),
        ],
    )


def mmpretrain_pipeline(*, normalize: bool = True) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The same two views complete, by mmpretrain's and mmcv's transforms.

    Args:
        normalize: include mmcv's normalisation, which in OpenCV 4.12 takes a third of the time;
            without it views are uint8, as mmpretrain's data preprocessor takes them.
    """

    def view(blur: float, solarize: float) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = [
            dict(
                type='RandomResizedCrop',
                scale=224,
                crop_ratio_range=(0.14, 1.0),
                backend='pillow',
                interpolation='bicubic',
            ),
            dict(type='RandomFlip', prob=0.5),
            dict(type='RandomApply', transforms=[dict(type='ColorJitter', **JITTER)], prob=0.8),
            dict(
                type='RandomGrayscale',
                prob=0.2,
                keep_channels=True,
                channel_weights=(0.114, 0.587, 0.2989),
            ),
            dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=blur),
            dict(type='Solarize', thr=128, prob=solarize),
        ]
        return steps + [dict(type='Normalize', mean=MEAN, std=STD, to_rgb=True)] * normalize

    from mmcv.transforms import Compose
    from mmpretrain.registry import TRANSFORMS

    steps = [
        dict(type='LoadImageFromFile'),
        dict(type='MultiView', num_views=[1, 1], transforms=[view(1.0, 0.0), view(0.1, 0.2)]),
        dict(type='PackInputs'),
    ]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return Compose([TRANSFORMS.build(step) for step in steps])


def jpeg_files(folder: str | Path | None) -> list[str]:
    """JPEG files to read: of ``folder``, or of the reference data beside the repository."""
    if folder is None:
        shared = os.environ.get('MMDSSL_SHARED', Path(__file__).resolve().parents[4] / 'shared')
        folder = Path(shared, 'coco_mini', 'train2017')
    files = sorted(str(file) for file in Path(folder).rglob('*.jpg'))
    if not files:
        raise FileNotFoundError(f'no .jpg files in {folder}: give one of photos by --image-dir')
    return files


def rows(repeat: int = 7, image_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """Times the ways in turn.

    Args:
        repeat: rounds over 64 images.
        image_dir: folder of JPEG photos.

    Returns:
        ``name``, ``value``, ``unit``, ``target``: images per second, the median over the rounds,
        and the medians of the ratios within a round.
    """
    files = jpeg_files(image_dir)[:IMAGES]
    ours, colours = worker_pipeline(), colour_step()
    theirs, unnormalized = mmpretrain_pipeline(), mmpretrain_pipeline(normalize=False)
    decode = build_pipeline([dict(type='LoadImage')])
    alone, soco, soco_d = soco_pipeline(boxes=False), soco_pipeline(), soco_pipeline(branch=True)

    def complete() -> None:
        for start in range(0, len(files), BATCH):
            samples = [ours(_sample(path)) for path in files[start : start + BATCH]]
            colours(default_collate(samples), training=True)

    ways: dict[str, Callable[[], Any]] = {
        'worker part': lambda: _run(ours, files),
        'worker part, colours and normalisation': complete,
        'decoding alone': lambda: _run(decode, files),
        'mmpretrain, complete views': lambda: _run(theirs, files),
        'mmpretrain, not normalised': lambda: _run(unnormalized, files),
        "SoCo's views alone": lambda: _run(alone, files),
        'worker part of SoCo': lambda: _run(soco, files),
        'worker part of SoCo-D': lambda: _run(soco_d, files),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        seconds = _interleaved(ways, repeat)
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(-1)
    versions = f'OpenCV {cv2.__version__}, NumPy {np.__version__}, Pillow {PIL.__version__}'
    table = [
        dict(
            name=f'two 224 px views: {name}',
            value=round(len(files) / statistics.median(taken), 1),
            unit='images/s',
            reference=versions,
        )
        for name, taken in seconds.items()
    ]
    for name, base, target in (
        ('worker part', 'mmpretrain, complete views', '>= 5'),
        ('worker part', 'mmpretrain, not normalised', ''),
        ('worker part, colours and normalisation', 'mmpretrain, complete views', '>= 2'),
        ('worker part, colours and normalisation', 'mmpretrain, not normalised', ''),
        ('worker part of SoCo', "SoCo's views alone", ''),
        ('worker part of SoCo-D', "SoCo's views alone", ''),
    ):
        ratios = [one / two for one, two in zip(seconds[base], seconds[name], strict=True)]
        table.append(
            dict(
                name=f'{name} / {base}',
                value=round(statistics.median(ratios), 2),
                unit='x',
                target=target,
                reference=versions,
            )
        )
    return table


def _sample(path: str) -> dict[str, Any]:
    return dict(img_path=path, sample_idx=0)


def _run(pipeline: Callable[[dict[str, Any]], Any], files: Sequence[str]) -> None:
    for path in files:
        pipeline(_sample(path))


def _interleaved(ways: dict[str, Callable[[], Any]], repeat: int) -> dict[str, list[float]]:
    """CPU seconds of every round of every way; all ways see the same random numbers."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # mmcv's grayscale warns at every call
        for round_number in range(repeat + 1):
            for name, run in ways.items():
                np.random.seed(round_number)
                torch.manual_seed(round_number)
                start = time.process_time()
                run()
                if round_number:  # the first round warms up and fills the file cache
                    seconds[name].append(time.process_time() - start)
    return seconds
