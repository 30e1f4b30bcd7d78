"""What a network without training is measured as: random weights, BatchNorms that know the data."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdssl.evaluation.guards import preserve_rng_state

__all__ = ['calibrate_batch_norms', 'calibrate_untrained']


@torch.no_grad()
def calibrate_batch_norms(backbone: nn.Module, batches: list[Tensor]) -> int:
    """Give a backbone's BatchNorms the mean statistics of some batches.

    New layers say mean 0 and variance 1, which is true of no layer of an untrained network:
    measured so, it looks worse than its weights are.

    Args:
        backbone: Its mode, momentum and weights stay as they are.
        batches: Normalised images, each (B, 3, H, W) with B >= 2.

    Returns:
        Number of BatchNorms.
    """
    norms = [part for part in backbone.modules() if isinstance(part, _BatchNorm)]
    before = [(norm, norm.training, norm.momentum) for norm in norms]
    if not norms:
        return 0
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    try:
        for images in batches:
            backbone(images)
    finally:
        for norm, training, momentum in before:
            norm.momentum = momentum
            norm.train(training)
    return len(norms)


def calibrate_untrained(model: Any, config: Mapping | Config, *, batches: int = 4) -> int:
    """Calibrate the backbone that a host keeps by the first batches of its training views.

    The training itself stays bit-equal: it normalises by its batches, and random states are
    given back.

    Args:
        model: A host with ``get_backbone()`` and a data preprocessor.
        config: Of the run.
        batches: Of the training loader.

    Returns:
        Number of BatchNorms; 0 for a ViT, whose images are not even loaded.
    """
    backbone = model.get_backbone()
    if not any(isinstance(part, _BatchNorm) for part in backbone.modules()):
        return 0
    from mmdssl.visualization.preview import training_batches

    preprocessor = copy.deepcopy(model.data_preprocessor)  # whose draws are not the run's
    with preserve_rng_state():
        views = [
            preprocessor(batch.data, training=True)['inputs']['views'][0]
            for batch in training_batches(config, batches)
        ]
        return calibrate_batch_norms(backbone, views)
