"""Position bias of several networks, layer by layer."""

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmdssl.cli.analyze.common import (
    Run,
    add_data_arguments,
    add_network_arguments,
    check_layers,
    image_folder,
    load_networks,
    read_config,
    result_rows,
    write_results,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = ['position']

_SHOWN_BLOCKS = 6


def position(parser: argparse.ArgumentParser) -> Run:
    """MCS: cosine of one picture with itself at other places, layer by layer (D3SSL, Fig. 4b)."""
    add_network_arguments(parser)
    add_data_arguments(parser, num=16, things='images', annotated=False)
    parser.add_argument('--cell', type=int, default=224, help='side of one of 3 x 3 cells, pixels')
    parser.add_argument(
        '--stride',
        type=int,
        default=32,
        help='of the deepest layer; a cell must be a multiple of it (0: any cell)',
    )
    parser.add_argument('--layers', nargs='+', help='default: stages, or some blocks, and last')
    return _run


def _run(args: argparse.Namespace) -> None:
    from mmdssl.engine.channels import channels_of, reader_settings
    from mmdssl.evaluation.measure import build_diagnostic, measure
    from mmdssl.visualization.position import draw_position

    config = read_config(args)
    networks = load_networks(args, config)
    # All have one architecture, and so its layers.
    layers = args.layers or default_layers(networks[0].backbone)
    check_layers(networks[:1], layers)
    dataset = dict(
        type='ImageGrids',
        data_root=str(image_folder(args, config)),
        num=args.num_samples,
        seed=args.seed,
        cell=args.cell,
        stride=args.stride or None,
        load=None if channels_of(config) is None else reader_settings(config),
    )
    loader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dataset,
    )
    rows, values, selection = [], {}, {}
    for network in networks:
        probe = build_diagnostic(
            dict(dataloader=loader, evaluator=dict(type='PositionalSimilarity')), layers=layers
        )
        numbers = measure(
            network.backbone,
            network.preprocessor,
            probe.loader,
            probe.metrics,
            layers=layers,
            max_images=1,
            description=network.name,
        )
        rows += result_rows(network.name, numbers)
        values[network.name] = probe.metrics[0].values  # type: ignore[attr-defined]
        selection = probe.loader.dataset.metainfo  # type: ignore[attr-defined]
    rows = [{key: v for key, v in row.items() if key != 'missing'} for row in rows]
    write_results(args, 'position', rows, networks=networks, data=selection)
    print(f'wrote {draw_position(values, args.out / "position.png")}')


def default_layers(backbone: 'nn.Module') -> Sequence[str]:
    """Names of layers from shallow to deep: stages of a CNN, or six blocks of a transformer."""
    from mmdssl.evaluation.layers import block_count

    net = getattr(backbone, 'wrapped', backbone)  # of an adapter
    stages = [name for name, _ in net.named_modules() if re.fullmatch(r'layer\d+', name)]
    if stages == ['layer1', 'layer2', 'layer3', 'layer4']:
        return ['C2', 'C3', 'C4', 'C5']
    if stages:
        return [*stages, 'last']
    count = block_count(backbone)
    shown = min(_SHOWN_BLOCKS, count)
    # The last block's map is 'last' but for the final norm.
    return [*(f'block{i * count // shown}' for i in range(shown)), 'last']
