"""The measures of a card, in groups that share their passes through the network.

A group is what is resumed: done or not. ``objects`` looks at every photo once as it is and once
disturbed (:mod:`mmdssl.engine.card.objects`); the others compose images of their own.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdssl.datasets.few_photos import load_photos
from mmdssl.engine.card.data import CardData
from mmdssl.engine.card.networks import CardNetwork
from mmdssl.engine.card.objects import objects
from mmdssl.engine.card.parts import CardSettings, Found, base_config
from mmdssl.evaluation.consistency import LocalSemanticConsistency, local_consistency, step_of
from mmdssl.evaluation.guards import evaluating
from mmdssl.evaluation.layers import layer_maps, layers_by_depth
from mmdssl.evaluation.measure import Diagnostic, build_diagnostic, measure

__all__ = ['GROUPS', 'Group']

_LAYERS = 4  # quarters of the depth
_SHARES = (0.2, 0.5, 0.8)  # of object A that are missing
_MOST = dict(inter=100, intra=200, background=250)  # samples, or as many as there are photos
_LSC_PHOTOS, _LSC_SIDE = 6, 512
_TIMED = 16  # images in a pass whose time is taken


Group = Callable[[CardNetwork, CardData, CardSettings, Path], Found]


def _probe(name: str) -> Group:
    """A group that is one of the coupling diagnostics."""

    def run(network: CardNetwork, data: CardData, settings: CardSettings, folder: Path) -> Found:
        config = base_config('coco_coupling.py')['coupling_diagnostics'][name].to_dict()
        dataset = config['dataloader']['dataset']
        dataset |= dict(
            data_root='',
            ann_file=str(data.bank.resolve()),
            data_prefix=str(data.bank_images.resolve()),
            size=settings.size,
            seed=settings.seed,
            load=network.load,
        )
        config['dataloader'] |= dict(num_workers=settings.workers)
        for metric in config['evaluator']:
            metric['save'] = str(folder / f'{metric["prefix"]}.npz')
        sources: list[dict[str, Any]] = [{}]
        if name == 'inter':
            dataset['ratios'] = _SHARES
            sources = [dict(source='single'), dict(source='crop')]
        most = min(_MOST[name], data.facts['bank']['images'])
        probe = _fitting(config, sources, most, network.extractor.backbone)
        numbers = _measured(network, probe, f'{network.name}: {name}')
        meta: Any = probe.loader.dataset
        return Found(numbers, dict(meta.metainfo['selection']))

    return run


def _fitting(
    config: dict[str, Any], sources: list[dict[str, Any]], most: int, backbone: nn.Module
) -> Diagnostic:
    """The diagnostic with as many samples as the data give, ``most`` or a half, a quarter, ... .

    Raises:
        ValueError: Of the data set, where not even five can be had.
    """
    number, reason = most, ValueError(f'fewer than {most} samples')
    while number >= 5:
        for source in sources:
            dataset = config['dataloader']['dataset'] | source | dict(num=number)
            tried = {**config, 'dataloader': {**config['dataloader'], 'dataset': dataset}}
            try:
                return build_diagnostic(tried, backbone=backbone)
            except ValueError as error:
                reason = error
        number //= 2
    raise reason


def _measured(
    network: CardNetwork, probe: Diagnostic, description: str, **options: Any
) -> dict[str, float]:
    extractor = network.extractor
    return measure(
        extractor.backbone,
        extractor.data_preprocessor,
        probe.loader,
        probe.metrics,
        layers=probe.layers,
        description=description,
        **options,
    )


def _position(network: CardNetwork, data: CardData, settings: CardSettings, folder: Path) -> Found:
    """MCS at quarters of the depth; ``values`` by quarter, so that networks stand on one axis."""
    backbone = network.extractor.backbone
    layers = _seen_layers(network, settings.size)
    patch = getattr(backbone, 'patch_size', None)
    stride = patch if isinstance(patch, int) else None if settings.size % 32 else 32
    dataset = dict(
        type='ImageGrids',
        data_root=str(data.photos),
        num=len(list(data.photos.iterdir())),
        seed=settings.seed,
        cell=settings.size,
        stride=stride,
        cache=False,
        load=network.load,
    )
    loader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dataset,
    )
    metric = dict(type='PositionalSimilarity', save=str(folder / 'mcs.npz'))
    probe = build_diagnostic(
        dict(dataloader=loader, evaluator=metric), layers=list(layers.values())
    )
    numbers = _measured(network, probe, f'{network.name}: position', max_images=1)
    named = {f'mcs/{layer}/': f'mcs/{quarter}/' for quarter, layer in layers.items()}
    renamed = {
        next(new for old, new in named.items() if key.startswith(old)) + key.rpartition('/')[2]: one
        for key, one in numbers.items()
    }
    meta: Any = probe.loader.dataset
    return Found(renamed, {**meta.metainfo['selection'], 'layers': layers})


def _seen_layers(network: CardNetwork, size: int) -> dict[str, str]:
    """Layers by the share of the depth behind them, those that give a map (N, C, h, w).

    A map with its channels last, as Swin's inside, would be read with places as channels: of a
    square image it is told by its sides.
    """
    backbone = network.extractor.backbone
    found = {}
    names = layers_by_depth(backbone, _LAYERS)
    device = next(backbone.parameters()).device
    images = torch.zeros(1, network.channels, size, size, device=device)
    for number, name in enumerate(names, start=1):
        with evaluating(backbone):
            try:
                own = layer_maps(backbone, images, [name])
            except ValueError:
                continue  # not a place with a map
        if own[name].shape[-1] == own[name].shape[-2]:
            found[f'{100 * number // len(names)} %'] = name
    return found


def _consistency(
    network: CardNetwork, data: CardData, settings: CardSettings, folder: Path
) -> Found:
    """LSC of whole photos."""
    backbone = network.extractor.backbone
    step = step_of(backbone)
    side = round(_LSC_SIDE * settings.size / 224 / step) * step
    names, photos = load_photos(data.photos, _LSC_PHOTOS, side, network.reader)
    metric = LocalSemanticConsistency()
    device = next(backbone.parameters()).device
    console = Console(stderr=True)
    title = f'{network.name}: consistency'
    for photo in track(photos, title, console=console, disable=not console.is_terminal):
        batch = dict(inputs=photo[None].to(device))
        images = network.extractor.data_preprocessor(batch, False)['inputs']
        own = local_consistency(backbone, images, patch=step)[0].cpu()
        metric.process(None, [dict(local_consistency=own)])
    numbers = metric.evaluate(len(photos))
    return Found(numbers, dict(photos=len(names), side=side, step=step))


def _speed(network: CardNetwork, data: CardData, settings: CardSettings, folder: Path) -> Found:
    """Size, operations, and the time of forward passes on this machine."""
    backbone = network.extractor.backbone
    device = next(backbone.parameters()).device
    images = torch.zeros(1, network.channels, settings.size, settings.size, device=device)
    with evaluating(backbone):
        with FlopCounterMode(display=False) as counter:
            backbone(images)
        rates = {}
        for batch in (1, _TIMED):
            own = images.expand(batch, -1, -1, -1).contiguous()
            times = []
            backbone(own)  # the first pass allocates
            for _ in range(3):
                begin = time.perf_counter()
                backbone(own)
                if device.type == 'cuda':
                    torch.cuda.synchronize(device)
                times.append(time.perf_counter() - begin)
            rates[f'speed/images_per_second_{batch}'] = batch / sorted(times)[1]
    numbers = {
        'speed/parameters': float(sum(one.numel() for one in backbone.parameters())),
        'speed/gflops': counter.get_total_flops() / 1e9,
        **rates,
    }
    facts = dict(size=settings.size, device=device.type, threads=torch.get_num_threads())
    return Found(numbers, facts)


#: Every group by its name, in the order in which they run.
GROUPS: Mapping[str, Group] = {
    'speed': _speed,
    'objects': objects,
    'inter': _probe('inter'),
    'intra': _probe('intra'),
    'background': _probe('background'),
    'position': _position,
    'consistency': _consistency,
}
