"""On what the arms are trained and how long; :mod:`mmdssl.miniature.training` has the settings.

``trial``: 96 px scenes whose classes are colour x texture on quiet backgrounds. A test of
de-coupling: the base soon turns object features into background features, and the random net
already reads colours, so that no arm need rise above it.

``shapes``: 128 px scenes whose classes are shape x texture while all objects have one hue, on
loud backgrounds. A random net is weak there, so that it shows whether the base learns objects and
which way the branch then moves it. Crops of a quarter to three quarters of the picture at its own
resolution: neither the whole scene nor its colours tell two views of it.

``forms``: the default scenes of 128 px, whose classes are shape x texture with a hue for each
texture, and the configs of configs/scenes as they are. SoCo's base rises above the random net
there, in O-KNN and in O-KNN-D, within 250 iterations. Only at scale ``cpu``.

The other two come at two scales: ``cpu`` (minutes a run on one core) and ``gpu`` (ViT-S and
ResNet-50, 224 px views of larger scenes, thousands of steps, one GPU).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmdssl.miniature.training import (
    Training,
    large,
    small_densecl,
    small_ibot,
    small_leopart,
    small_maskalign,
    small_soco,
)

__all__ = ['EARLY', 'POINTS', 'REGIMES', 'SCALES', 'Regime', 'Training', 'choose_regime']

SCALES = ('cpu', 'gpu')
#: Shares of a run at which it is measured; 0 is the random net, 1 the end.
POINTS = (0.0, 0.2, 0.4, 0.7, 1.0)
#: The share at which the base counts as stopped early.
EARLY = 0.4


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
                **small_ibot(side=64, patch=8, scale=(0.3, 1.0), batch=24, lr=1.5e-3),
            ),
            densecl=Training(
                iters=250,
                warmup=20,
                seconds=130,
                **small_densecl(side=64, scale=(0.3, 1.0), lr=0.06),
            ),
            soco=Training(
                iters=250, warmup=25, seconds=280, **small_soco(side=64, scale=(0.5, 1.0), lr=1.0)
            ),
            maskalign=Training(
                iters=250,
                warmup=25,
                seconds=80,
                **small_maskalign(side=64, patch=8, scale=(0.3, 1.0), lr=1e-3),
            ),
            leopart=Training(
                iters=200,
                warmup=0,
                seconds=150,
                **small_leopart(
                    side=64, patch=8, scale=(0.3, 1.0), local_scale=(0.1, 0.3), lr=1e-3
                ),
            ),
        ),
    ),
    ('shapes', 'cpu'): Regime(
        purpose='where a random net is weak: does the base learn objects, and what does -D change?',
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
                **small_ibot(side=64, patch=8, scale=(0.2, 0.7), batch=32, lr=1e-3),
            ),
            densecl=Training(
                iters=1000,
                warmup=50,
                seconds=530,
                **small_densecl(side=64, scale=(0.2, 0.7), lr=0.06),
            ),
            soco=Training(
                iters=1000,
                warmup=100,
                seconds=2100,
                **small_soco(side=96, scale=(0.4, 1.0), lr=1.0),
            ),
            maskalign=Training(
                iters=1000,
                warmup=100,
                seconds=240,
                **small_maskalign(side=64, patch=8, scale=(0.2, 0.7), lr=1e-3),
            ),
            leopart=Training(
                iters=800,
                warmup=0,
                seconds=480,
                **small_leopart(
                    side=64, patch=8, scale=(0.2, 0.7), local_scale=(0.05, 0.2), lr=1e-3
                ),
            ),
        ),
    ),
    ('forms', 'cpu'): Regime(
        purpose='where SoCo and DenseCL learn objects, which way does the branch move them?',
        scenes=dict(size=128),
        train_images=2000,
        val_images=400,
        bank_images=600,
        size=128,
        probes=dict(inter=80, background=200, intra=150),
        ratios=_RATIOS,
        min_side=20,
        proposals={},
        training=dict(
            ibot=Training(iters=250, warmup=60, seconds=300),
            densecl=Training(iters=250, warmup=20, seconds=330),
            soco=Training(iters=250, warmup=25, seconds=600),
            maskalign=Training(iters=250, warmup=25, seconds=250),
            leopart=Training(iters=200, warmup=0, seconds=400),
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
        training=large((0.3, 1.0), 4000),
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
        training=large((0.2, 0.7), 10000),
        amp='bf16',
        workers=8,
    ),
    # A few hundred photos: the small configs of configs/coco_mini, DenseCL as long as iBOT.
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
            maskalign=Training(iters=250, warmup=25, seconds=250),
            leopart=Training(iters=200, warmup=0, seconds=400),
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
