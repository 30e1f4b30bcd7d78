"""The photos of a card as they are, and disturbed: one pass each feeds most of its measures.

O-KNN in its three ways, affinity, discovery, artefacts and segmentation all read the same passes.
"""

from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmdssl.engine.card.data import CardData
from mmdssl.engine.card.networks import CardNetwork
from mmdssl.engine.card.parts import CardSettings, Found, base_config
from mmdssl.engine.channels import set_loading
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.evaluation.features import dense_map
from mmdssl.evaluation.guards import evaluating, preserve_rng_state
from mmdssl.evaluation.passes import evaluate_loader
from mmdssl.evaluation.tokens import has_keys
from mmdssl.registry import METRICS

__all__ = ['objects']

_MEMORY = 20_480  # patches that in-context segmentation retrieves from


def objects(network: CardNetwork, data: CardData, settings: CardSettings, folder: Path) -> Found:
    """O-KNN three ways, and all that is read off the same passes."""
    transformer = has_keys(network.extractor.backbone)
    places = ['last', 'prenorm', *(['keys', 'embedding'] if transformer else [])]
    extractor = FeatureExtractor(
        backbone=network.extractor.backbone,
        data_preprocessor=network.extractor.data_preprocessor,
        tokens=places,
    )
    drawn = dict(bootstrap=settings.bootstrap, seed=settings.seed)
    configs: list[dict[str, Any]] = [
        {**one, **drawn} for one in base_config('coco_object_knn.py')['object_knn_evaluator']
    ]
    query = dict(tag='query', **drawn)
    if data.outlines:
        compared = ['last', *(['prenorm', 'keys'] if transformer else [])]
        configs.append(dict(type='PatchAffinity', places=compared, **query))
    if data.outlines and _whole_patches(network, settings.size):
        configs.append(dict(type='InContextSegmentation', memory_size=_MEMORY, **drawn))
        # One setting: no part of the bank is needed to choose it, and the search is made once.
        configs.append(
            dict(type='PatchKNNSegmentation', neighbours=[10], distances=['cosine'], **drawn)
        )
    configs.append(
        dict(
            type='ObjectDiscovery',
            features='last',
            center=True,
            prefix='discovery_last',
            methods=('lost', 'tokencut'),
            **query,
        )
    )
    if transformer:
        configs.append(dict(type='ObjectDiscovery', features='keys', **query))
    configs.append(dict(type='ArtefactTokens', **query))
    with preserve_rng_state(), DefaultScope.overwrite_default_scope('mmdssl'):
        loader = Runner.build_dataloader(
            _object_loader(network, data, settings), seed=settings.seed
        )
        metrics = [METRICS.build(one) for one in configs]
    evaluator = _PatientEvaluator(metrics)
    numbers = evaluate_loader(extractor, loader, evaluator, f'{network.name}: objects')
    chosen = dict(size=settings.size, bootstrap=settings.bootstrap)
    return Found(numbers, chosen, evaluator.missing)


class _PatientEvaluator(Evaluator):
    """Metrics of one pass, of which one that finds nothing to judge does not end the others.

    Attributes:
        missing: Reasons by the prefix of such a metric.
    """

    missing: dict[str, str]

    def evaluate(self, size: int) -> dict[str, float]:
        """Numbers of all metrics that have any."""
        self.missing = {}
        numbers: dict[str, float] = {}
        for metric in self.metrics:
            try:
                numbers |= metric.evaluate(size)
            except ValueError as error:
                self.missing[str(metric.prefix)] = str(error)
        return numbers


def _whole_patches(network: CardNetwork, size: int) -> bool:
    """Whether a cell of the last map is a whole number of pixels, which label maps need."""
    backbone = network.extractor.backbone
    device = next(backbone.parameters()).device
    images = torch.zeros(1, network.channels, size, size, device=device)
    with evaluating(backbone):
        cells = dense_map(backbone, images).shape[-2:]
    return all(size % side == 0 for side in cells)


def _object_loader(network: CardNetwork, data: CardData, settings: CardSettings) -> dict[str, Any]:
    """The loader of O-KNN over the chosen photos, whose clean parts carry their maps."""
    loader = base_config('coco_object_knn.py')['object_knn_dataloader'].to_dict()
    loader |= dict(batch_size=settings.batch, num_workers=settings.workers)
    before = [dict(type='LoadImage')]
    maps = dict(
        bank=[dict(type='MapFromObjects')],
        query=[dict(type='MapFromObjects'), dict(type='InstanceMap')],
    )
    after = [
        dict(type='SelectObjects', select='all'),
        dict(type='ResizeWithBoxes', size=settings.size),
    ]
    dataset = loader['dataset']
    dataset |= dict(data_root='', pipeline=[])
    for name, part in dataset['datasets'].items():
        bank = name.startswith('bank')
        part |= dict(
            ann_file=str((data.bank if bank else data.query).resolve()),
            data_prefix=str((data.bank_images if bank else data.query_images).resolve()),
        )
        own: list[dict[str, Any]] = []
        if data.outlines:
            part.pop('with_masks')
            part['type'] = 'CocoSemantic'  # the same objects; its classes begin with the background
            part['keep_empty'] = False
            own = maps.get(name, [])
        drawn = [dict(type='ResizeMap', size=settings.size, as_original=False)] if own else []
        part['pipeline'] = [*before, *own, *after, *drawn, *part['pipeline']]
    if network.load is not None:
        set_loading(loader, network.load)
    return loader
