"""The controlled study on a handful of scenes, for tests: five iterations, a few pairs."""

import dataclasses

from mmdssl.studies import load_study

_whole = load_study('mind_your_augmentation/controlled')
_smaller = dict(train_images=40, val_images=12, bank_images=10, iters=5)
_probes = dict.fromkeys(('inter', 'background', 'intra'), 6)

study = dataclasses.replace(
    _whole,
    scales={
        **_whole.scales,
        'scenes': dataclasses.replace(_whole.scales['scenes'], probes=_probes, **_smaller),
    },
)
