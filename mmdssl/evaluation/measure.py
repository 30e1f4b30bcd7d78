"""Measure any backbone on diagnostics: the one way for hooks, commands and studies.

A *diagnostic* in a config is ``dict(dataloader=..., evaluator=[...], layers=(...))``: composed
images, metrics that read their features, and the layers to look at (``('last',)`` where it names
none). An :class:`ObjectPairs` with ``remove='auto'`` takes apart A as suits the backbone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmdssl.evaluation.extractors.diagnostic_extractor import DiagnosticExtractor
from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.evaluation.passes import evaluate_loader
from mmdssl.registry import METRICS

__all__ = [
    'Diagnostic',
    'build_diagnostic',
    'build_diagnostics',
    'measure',
    'measure_diagnostics',
    'removal_for',
]


@dataclass
class Diagnostic:
    """A diagnostic ready to measure, as often as wanted.

    Attributes:
        loader: Of the composed images.
        metrics: Built; after a measurement their ``values`` hold every single value.
        layers: Names as in :mod:`mmdssl.evaluation.layers`.
    """

    loader: DataLoader
    metrics: list[BaseMetric]
    layers: tuple[str, ...] = ('last',)


def build_diagnostic(
    config: Mapping[str, Any],
    *,
    backbone: nn.Module | None = None,
    layers: Sequence[str] | None = None,
) -> Diagnostic:
    """Build one diagnostic of a config; the random state of the process stays as it was.

    Args:
        config: ``dataloader``, ``evaluator`` (a metric or a list of them) and ``layers``.
        backbone: Resolves ``remove='auto'`` of the data set, see :func:`removal_for`.
        layers: In place of those of the config.

    Raises:
        ValueError: If ``dataloader`` or ``evaluator`` is missing, or the data cannot be used.
    """
    for key in ('dataloader', 'evaluator'):
        if not config.get(key):
            raise ValueError(
                f'the diagnostic has no {key}: inherit configs/_base_/datasets/coco_coupling.py or '
                'give dict(dataloader=..., evaluator=[...])'
            )
    metrics = config['evaluator']
    metrics = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    with preserve_rng_state(), DefaultScope.overwrite_default_scope('mmdssl'):
        loader = config['dataloader']
        if isinstance(loader, Mapping):
            loader = {**loader, 'dataset': _resolve(loader['dataset'], backbone)}
            loader = Runner.build_dataloader(loader, seed=0)
        built = [METRICS.build(one) if isinstance(one, dict) else one for one in metrics]
    return Diagnostic(loader, built, tuple(layers or config.get('layers') or ('last',)))


def build_diagnostics(
    configs: Mapping[str, Mapping[str, Any]],
    *,
    backbone: nn.Module | None = None,
    layers: Sequence[str] | None = None,
) -> dict[str, Diagnostic]:
    """Build all diagnostics of a config by name, see :func:`build_diagnostic`."""
    return {
        name: build_diagnostic(config, backbone=backbone, layers=layers)
        for name, config in configs.items()
    }


def _resolve(dataset: Any, backbone: nn.Module | None) -> Any:
    """The config of a data set without ``remove='auto'``."""
    if not isinstance(dataset, Mapping) or dataset.get('remove') != 'auto':
        return dataset
    if backbone is None:
        raise ValueError(
            "remove='auto' needs the backbone that is measured: give it to build_diagnostic, or "
            "set remove='patches' (vision transformer) or 'shrink' (CNN)"
        )
    return {**dataset, **removal_for(backbone)}


def measure(
    backbone: nn.Module,
    preprocessor: nn.Module | dict | None,
    loader: DataLoader,
    metrics: Evaluator | Sequence[BaseMetric],
    *,
    layers: Sequence[str] = ('last',),
    roi_size: int = 7,
    max_images: int = 32,
    precision: Literal['float32', 'bfloat16'] = 'float32',
    description: str = 'diagnostic',
    progress: bool = True,
) -> dict[str, float]:
    """Run a diagnostic's images through a backbone and evaluate its metrics.

    Backbone, training flags and all random states are left as they were, so that a run that is
    measured and one that is not are bit-equal. Every process of a distributed run must call it;
    with a sampler that divides the data all get the numbers of the whole.

    Args:
        backbone: mmpretrain, torchvision or any other module of images.
        preprocessor: Module or config that normalises uint8 images, as that of the run; None:
            ImageNet's mean and standard deviation.
        loader: Of diagnostic samples, e.g. :class:`ObjectPairs` with ``default_collate``.
        metrics: Metrics that read ``diagnostic_features``.
        layers: Names as in :mod:`mmdssl.evaluation.layers`.
        roi_size: Cells per side of RoIAlign.
        max_images: Views in one forward pass.
        precision: Of the backbone; 'bfloat16' takes two thirds of the time where the processor
            has it.
        description: Of the progress bar.
        progress: Show one, where a terminal is there to see it.

    Returns:
        Numbers by name, e.g. ``'cr_inter/last/mean'``.
    """
    evaluator = metrics if isinstance(metrics, Evaluator) else Evaluator(list(metrics))
    extractor = DiagnosticExtractor(
        backbone=backbone,
        data_preprocessor=preprocessor,
        layers=layers,
        roi_size=roi_size,
        max_images=max_images,
        precision=precision,
    )
    device = next((p.device for p in backbone.parameters()), torch.device('cpu'))
    extractor.data_preprocessor.to(device)
    return evaluate_loader(extractor, loader, evaluator, description, progress=progress)


def measure_diagnostics(
    backbone: nn.Module,
    preprocessor: nn.Module | dict | None,
    diagnostics: Mapping[str, Diagnostic],
    *,
    roi_size: int = 7,
    max_images: int = 32,
    precision: Literal['float32', 'bfloat16'] = 'float32',
    progress: bool = True,
) -> dict[str, float]:
    """All diagnostics' numbers in one dict, see :func:`measure`.

    Raises:
        ValueError: If two metrics report under one name: give one of them another ``prefix``.
    """
    numbers: dict[str, float] = {}
    for name, diagnostic in diagnostics.items():
        found = measure(
            backbone,
            preprocessor,
            diagnostic.loader,
            diagnostic.metrics,
            layers=diagnostic.layers,
            roi_size=roi_size,
            max_images=max_images,
            precision=precision,
            description=name,
            progress=progress,
        )
        twice = sorted(numbers.keys() & found.keys())
        if twice:
            raise ValueError(
                f'diagnostic {name!r} reports {twice[0]!r} again: give it another prefix'
            )
        numbers.update(found)
    return numbers


def removal_for(backbone: nn.Module) -> dict[str, Any]:
    """Arguments of :class:`ObjectPairs` that suit a backbone.

    "Mind Your Augmentation" (ICLR 2024), App. B: patches of A are removed for vision
    transformers, A is shrunk for CNNs.

    Returns:
        ``dict(remove='patches', patch_size=...)`` for a plain vision transformer (patch and
        position embedding, blocks of one size), else ``dict(remove='shrink')``.
    """
    if hasattr(backbone, 'wrapped'):  # an adapter to another library
        patch = getattr(backbone, 'patch_size', None)
        return dict(remove='shrink') if patch is None else dict(remove='patches', patch_size=patch)
    embedding = getattr(backbone, 'patch_embed', None)
    if embedding is None or not hasattr(backbone, 'cls_token'):
        return dict(remove='shrink')
    projection = next(part for part in embedding.modules() if isinstance(part, nn.Conv2d))
    return dict(remove='patches', patch_size=int(projection.kernel_size[0]))
