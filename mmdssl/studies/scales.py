"""The five sizes that every study is declared for, from a rehearsal to the paper's own."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mmdssl.studies.study import Scale, Study

__all__ = ['EARLY', 'RATIOS', 'SCALES', 'choose_scale']

#: The share at which the base counts as stopped early.
EARLY = 0.4
RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8)

_PHOTOS: dict[str, Any] = dict(
    probes=dict(inter=200, background=400, intra=400),
    probe_data=dict(
        data_root='voc', ann_file='annotations/instances_val2012.json', data_prefix='val2012/'
    ),
    ratios=RATIOS,
    min_side=32,
)

SCALES: Mapping[str, Scale] = {
    'paper': Scale(
        purpose='COCO, the published network, batch and length; as many GPUs as the configs name',
        launched=True,
    ),
    'photos-gpu': Scale(
        purpose='a few thousand photos, one GPU, minutes a run (configs/photos)', **_PHOTOS
    ),
    'photos': Scale(
        purpose='a few thousand photos, one core, minutes a run (configs/photos)',
        shares=(0.0, EARLY, 1.0),
        partners_along=False,
        workers=0,
        amp='bf16',
        **_PHOTOS,
    ),
    'scenes': Scale(
        purpose='generated scenes of 128 px, one core, minutes a run (configs/scenes)',
        scenes=dict(size=128),
        train_images=2000,
        val_images=400,
        bank_images=600,
        probes=dict(inter=80, background=200, intra=150),
        ratios=RATIOS,
        min_side=20,
        workers=0,
    ),
}


def choose_scale(study: Study, name: str) -> tuple[Scale, str]:
    """A scale of a study, and the name by which its rows know their settings.

    ``smoke`` has settings of its own, or those of the scale of scenes, or else of the first one
    the study knows, and two iterations on a handful of scenes: whether all runs.

    Raises:
        ValueError: If there is no such scale.
    """
    scales = {**SCALES, **study.scales}
    if name == 'smoke':
        known = [scale for row in study.rows for scale in row.settings]
        setting = next((name for name in ('smoke', 'scenes') if name in known), known[0])
        small = dataclasses.replace(
            scales['scenes'],
            purpose='whether it runs',
            train_images=12,
            val_images=8,
            bank_images=6,
            probes=dict.fromkeys(('inter', 'background', 'intra'), 3),
            ratios=(0.0, 0.6),
            iters=2,
            batch=8,
        )
        return small, setting
    if name not in scales:
        raise ValueError(f'there is no scale {name!r}: choose from {" ".join([*scales, "smoke"])}')
    return scales[name], name
