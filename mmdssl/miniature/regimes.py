"""On what the arms are trained, how long, and with which settings; nothing is set elsewhere.

``trial``: 96 px scenes whose classes are colour x texture on quiet backgrounds. A test of
de-coupling: the base soon turns object features into background features, and the random net
already reads colours, so that no arm need rise above it.

``shapes``: 128 px scenes whose classes are shape x texture while all objects have one hue, on
loud backgrounds. A random net is weak there, so that it shows whether the base learns objects and
which way the branch then moves it. Crops of a quarter to three quarters of the picture at its own
resolution: neither the whole scene nor its colours tell two views of it.

Each comes at two scales: ``cpu`` (minutes a run on one core) and ``gpu`` (ViT-S and ResNet-50,
224 px views of larger scenes, thousands of steps, one GPU). ``options`` are changes of an arm's
config by dotted name; ``steps`` are changes of the steps of its training pipeline by
``'Transform.argument'``, wherever the step occurs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ['EARLY', 'POINTS', 'REGIMES', 'SCALES', 'Regime', 'Training', 'choose_regime']

SCALES = ('cpu', 'gpu')
#: Shares of a run at which it is measured; 0 is the random net, 1 the end.
POINTS = (0.0, 0.2, 0.4, 0.7, 1.0)
#: The share at which the base counts as stopped early.
EARLY = 0.4


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the arms of one family are trained.

    Attributes:
        iters: Iterations of the schedule; controls may change them by their factor.
        warmup: Iterations of warm-up among them.
        seconds: Estimated seconds of the base on one core of a 2-core cloud machine (``cpu``) or
            one GPU (``gpu``), all measurements included; for the plan and the first guess of the
            progress bar.
        options: Changes of the config.
        steps: Changes of pipeline steps.
    """

    iters: int
    warmup: int
    seconds: float
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Regime:
    """Data, measurement and training of one study.

    Attributes:
        purpose: One sentence.
        scenes: Settings of :class:`SceneSpec` but the seed; empty for a folder of photos.
        train_images: Training scenes.
        val_images: Validation scenes: the queries of O-KNN and what coupling is measured on.
        bank_images: Training images whose objects form the bank of O-KNN; -1 for all.
        size: Side in pixels at which objects are measured.
        probes: Number of samples of the probes ``inter`` (pairs), ``background`` and ``intra``.
        ratios: Shares of A that are missing in the pairs.
        min_side: Smallest side, in pixels of the file, of an object in a probe.
        proposals: Settings of :class:`ProposalSettings`, the filter's with ``filter_`` before
            the name.
        training: By family.
        amp: Precision of training, see ``tools/train.py``.
        workers: Loader processes of a run; 0 loads in the run's own process.
    """

    purpose: str
    scenes: Mapping[str, Any]
    train_images: int
    val_images: int
    bank_images: int
    size: int
    probes: Mapping[str, int]
    ratios: tuple[float, ...]
    min_side: float
    proposals: Mapping[str, Any]
    training: Mapping[str, Training]
    amp: str | None = None
    workers: int = 0


def _ibot(*, side: int, patch: int, scale: tuple[float, float], batch: int, lr: float) -> dict:
    """What the small ViT of the ``cpu`` scale needs: width 96, depth 4, 512 prototypes."""
    cells = (side // patch, side // patch)
    return dict(
        options={
            'model.backbone.arch': dict(
                embed_dims=96, num_layers=4, num_heads=3, feedforward_channels=384
            ),
            'model.backbone.img_size': side,
            'model.backbone.patch_size': patch,
            'model.head.in_channels': 96,
            'model.momentum': (0.98, 1.0),
            'optim_wrapper.optimizer.lr': lr,
            'train_dataloader.batch_size': batch,
        },
        steps={
            'RandomResizedCropWithBoxes.size': side,
            'RandomResizedCropWithBoxes.scale': scale,
            'BlockwiseMask.mask_size': cells,
            'RegionCollaborativeCutout.mask_size': cells,
        },
    )


def _densecl(*, side: int, scale: tuple[float, float], lr: float) -> dict:
    """ResNet-18 of half width whose last stage keeps the resolution: side / 16 cells."""
    return dict(
        options={
            'model.backbone.strides': (1, 2, 2, 1),
            'model.queue_length': 1024,
            'optim_wrapper.optimizer.lr': lr,
            'train_dataloader.batch_size': 32,
        },
        steps={
            'RandomResizedCropWithBoxes.size': side,
            'RandomResizedCropWithBoxes.scale': scale,
        },
    )


def _soco(*, side: int, scale: tuple[float, float], lr: float) -> dict:
    """ResNet-18 of half width whose C4 has side / 8 cells; a box takes 4x4 cells of it."""
    return dict(
        options={
            'model.backbone.strides': (1, 2, 1, 2),
            'optim_wrapper.optimizer.lr': lr,
            'train_dataloader.batch_size': 32,
        },
        steps={
            'ResizeWithBoxes.size': side,
            'RandomResizedCropWithBoxes.size': side,
            'RandomResizedCropWithBoxes.scale': scale,
        },
    )


_RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8)
_TRIAL = dict(
    size=96,
    objects=(2, 4),
    context_bias=0.5,
    class_by='hue',
    shapes=('disc', 'square', 'triangle', 'hexagon'),
    textures=('striped', 'checked', 'dotted'),
    hues=('red', 'yellow', 'green', 'blue'),
    scale=(0.2, 0.42),
    contrast=0.06,
    saturation=0.15,
)
_SHAPES = dict(
    size=128,
    objects=(3, 8),
    context_bias=0.5,
    class_by='form',
    shapes=('disc', 'triangle', 'star', 'cross'),
    textures=('striped', 'checked', 'dotted', 'ringed'),
    hues=('green',),
    scale=(0.16, 0.38),
    contrast=0.16,
    saturation=0.3,
)
_GPU_IBOT = {
    'model.backbone.arch': 'deit-small',
    'model.backbone.img_size': 224,
    'model.backbone.patch_size': 16,
    'model.head.in_channels': 384,
    'model.head.hidden_channels': 2048,
    'model.head.bottleneck_channels': 256,
    'model.head.out_channels': 4096,
    'model.momentum': (0.992, 1.0),
    'optim_wrapper.optimizer.lr': 5e-4,
    'train_dataloader.batch_size': 128,
}
_GPU_RESNET = {
    'model.backbone.depth': 50,
    'model.backbone.stem_channels': 64,
    'model.backbone.base_channels': 64,
    'model.neck.in_channels': 2048,
    'train_dataloader.batch_size': 128,
}


def _gpu(scale: tuple[float, float], iters: int) -> dict[str, Training]:
    """ViT-S/16 and ResNet-50 at 224 px, batch 128 on one GPU."""
    crop = {
        'RandomResizedCropWithBoxes.size': 224,
        'RandomResizedCropWithBoxes.scale': scale,
    }
    cells = {'BlockwiseMask.mask_size': (14, 14), 'RegionCollaborativeCutout.mask_size': (14, 14)}
    return dict(
        ibot=Training(
            iters=iters,
            warmup=iters // 10,
            seconds=iters / 4,
            options=_GPU_IBOT,
            steps=crop | cells,
        ),
        densecl=Training(
            iters=iters,
            warmup=iters // 20,
            seconds=iters / 4,
            options={**_GPU_RESNET, 'model.queue_length': 8192, 'optim_wrapper.optimizer.lr': 0.15},
            steps=crop,
        ),
        soco=Training(
            iters=iters,
            warmup=iters // 10,
            seconds=iters / 3,
            options={**_GPU_RESNET, 'model.roi_size': 14, 'optim_wrapper.optimizer.lr': 1.0},
            steps=crop
            | {'ResizeWithBoxes.size': 224, 'RandomResizedCropWithBoxes.scale': (0.5, 1)},
        ),
    )


#: By (name, scale). Proposals are selective search with segments fit for small pictures.
REGIMES: Mapping[tuple[str, str], Regime] = {
    ('trial', 'cpu'): Regime(
        purpose='does the branch make features depend less on context? (short runs, easy classes)',
        scenes=_TRIAL,
        train_images=3000,
        val_images=400,
        bank_images=500,
        size=64,
        probes=dict(inter=80, background=200, intra=150),
        ratios=_RATIOS,
        min_side=16,
        proposals=dict(
            scale=100, sigma=0.6, min_size=30, filter_min_side=12, filter_size=(0.12, 0.7)
        ),
        training=dict(
            ibot=Training(
                iters=250,
                warmup=60,
                seconds=130,
                **_ibot(side=64, patch=8, scale=(0.3, 1.0), batch=24, lr=1.5e-3),
            ),
            densecl=Training(
                iters=250, warmup=20, seconds=130, **_densecl(side=64, scale=(0.3, 1.0), lr=0.06)
            ),
            soco=Training(
                iters=250, warmup=25, seconds=280, **_soco(side=64, scale=(0.5, 1.0), lr=1.0)
            ),
        ),
    ),
    ('shapes', 'cpu'): Regime(
        purpose='where the base learns objects, which way does the branch move it?',
        scenes=_SHAPES,
        train_images=4000,
        val_images=400,
        bank_images=500,
        size=128,
        probes=dict(inter=80, background=200, intra=150),
        ratios=_RATIOS,
        min_side=20,
        proposals=dict(
            scale=100, sigma=0.6, min_size=30, filter_min_side=14, filter_size=(0.12, 0.7)
        ),
        training=dict(
            ibot=Training(
                iters=1000,
                warmup=100,
                seconds=640,
                **_ibot(side=64, patch=8, scale=(0.2, 0.7), batch=32, lr=1e-3),
            ),
            densecl=Training(
                iters=1000, warmup=50, seconds=530, **_densecl(side=64, scale=(0.2, 0.7), lr=0.06)
            ),
            soco=Training(
                iters=1000, warmup=100, seconds=2100, **_soco(side=96, scale=(0.4, 1.0), lr=1.0)
            ),
        ),
    ),
    ('trial', 'gpu'): Regime(
        purpose='the trial with a ViT-S, a ResNet-50 and thousands of steps',
        scenes={**_TRIAL, 'size': 256},
        train_images=20000,
        val_images=1000,
        bank_images=4000,
        size=256,
        probes=dict(inter=200, background=500, intra=500),
        ratios=_RATIOS,
        min_side=32,
        proposals=dict(filter_min_side=24, filter_size=(0.12, 0.7)),
        training=_gpu((0.3, 1.0), 4000),
        amp='bf16',
        workers=8,
    ),
    ('shapes', 'gpu'): Regime(
        purpose='shape classes with a ViT-S, a ResNet-50 and thousands of steps',
        scenes={**_SHAPES, 'size': 320},
        train_images=40000,
        val_images=1000,
        bank_images=4000,
        size=320,
        probes=dict(inter=200, background=500, intra=500),
        ratios=_RATIOS,
        min_side=40,
        proposals=dict(filter_min_side=32, filter_size=(0.12, 0.7)),
        training=_gpu((0.2, 0.7), 10000),
        amp='bf16',
        workers=8,
    ),
    # A few hundred photos: the small configs of configs/coco_mini as they are.
    ('photos', 'cpu'): Regime(
        purpose='iBOT and iBOT-D on a folder of photos in the layout of COCO',
        scenes={},
        train_images=-1,
        val_images=-1,
        bank_images=-1,
        size=128,
        probes=dict(inter=80, background=70, intra=50),
        ratios=_RATIOS,
        min_side=32,
        proposals={},
        training=dict(
            ibot=Training(iters=400, warmup=60, seconds=500),
            densecl=Training(iters=400, warmup=20, seconds=500),
        ),
    ),
}


def choose_regime(name: str, scale: str) -> Regime:
    """The regime of a name at a scale.

    Raises:
        ValueError: If there is none.
    """
    if (name, scale) not in REGIMES:
        known = ', '.join(f'{n} at scale {s}' for n, s in REGIMES)
        raise ValueError(f'there is no regime {name!r} at scale {scale!r}: choose from {known}')
    return REGIMES[name, scale]
