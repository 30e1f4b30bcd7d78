"""Coupling between and within objects, and what a background does to them, network by network."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmdssl.cli.analyze.common import (
    Network,
    Run,
    add_data_arguments,
    add_network_arguments,
    check_boxes,
    check_layers,
    data_config,
    load_networks,
    moved,
    read_config,
    result_rows,
    write_results,
)
from mmdssl.cli.arguments import add_amp

__all__ = ['coupling']

_INTER = dict(cr_inter='CR between objects', cr_inter_cosine='CR between objects, cosine form')
_INTRA = dict(
    cr_intra='1 - cosine, the rest of the object exchanged',
    cr_intra_all='1 - cosine, all outside the part exchanged',
)


def coupling(parser: argparse.ArgumentParser) -> Run:
    """How strongly object features depend on neighbours, rest of the object and background."""
    add_network_arguments(parser)
    add_data_arguments(parser, num=None, things='samples of each probe')
    parser.add_argument(
        '--probes',
        nargs='+',
        metavar='NAME',
        help="of the config's coupling_diagnostics: inter (needs two classes), intra (needs "
        'masks), background; default: all',
    )
    parser.add_argument('--size', type=int, help="side of the images in pixels, for CONFIG's")
    parser.add_argument(
        '--pairs',
        choices=('single', 'crop'),
        help='objects of single-object images (the paper), or any objects, cut out',
    )
    parser.add_argument(
        '--ratios', type=float, nargs='+', help='fractions of object A that are missing'
    )
    parser.add_argument('--layers', nargs='+', help="e.g. C2 C3 C4 C5, block0; default: CONFIG's")
    add_amp(parser, ('bf16', 'off'))
    parser.add_argument(
        '--against',
        metavar='SETTING',
        help='also draw CR against a setting of the training that the checkpoints are named by: '
        'METHOD@VALUE=CHECKPOINT',
    )
    return _run


def _run(args: argparse.Namespace) -> None:
    from mmdssl.evaluation.measure import build_diagnostics, measure_diagnostics

    config = read_config(args)
    configs = _probes(args, data_config(config, 'coupling_diagnostics', 'coco_coupling.py'))
    for one in configs.values():
        own = one['dataloader']['dataset']
        check_boxes(args, config, own, own['ann_file'])
    networks = load_networks(args, config)
    if args.against:
        for network in networks:
            _setting(args, network)  # an unusable name ends this now and not after the measures
    rows: list[dict[str, Any]] = []
    values: dict[str, dict[str, dict[str, np.ndarray]]] = {}  # measure -> network -> layer
    chosen: dict[str, Any] = {}
    ratios: Sequence[float] = ()
    for network in networks:
        # Anew for each: what is taken of A depends on the network; the seed keeps the objects.
        probes = build_diagnostics(configs, backbone=network.backbone, layers=args.layers)
        check_layers([network], [layer for probe in probes.values() for layer in probe.layers])
        numbers = measure_diagnostics(
            network.backbone,
            network.preprocessor,
            probes,
            precision='bfloat16' if args.amp == 'bf16' else 'float32',
        )
        rows += result_rows(network.name, numbers)
        for name, probe in probes.items():
            meta = probe.loader.dataset.metainfo  # type: ignore[attr-defined]
            chosen[name] = dict(ann_file=meta['ann_file'], **meta['selection'])
            ratios = meta['selection'].get('ratios', ratios)
            for metric in probe.metrics:
                values.setdefault(str(metric.prefix), {})[network.name] = metric.values
    averages = [row for row in rows if not row['missing']]
    write_results(args, 'coupling', rows, networks=networks, data=chosen, shown=_compact(averages))
    _draw(args, values, ratios, averages, networks)


def _probes(args: argparse.Namespace, configs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The probes to measure, with the data of the command line.

    Raises:
        ValueError: If a probe does not exist.
    """
    unknown = set(args.probes or ()) - set(configs)
    if unknown:
        raise ValueError(
            f'no probe {sorted(unknown)[0]!r}: coupling_diagnostics has {list(configs)}'
        )
    found = {}
    for name, config in configs.items():
        if args.probes and name not in args.probes:
            continue
        dataset = moved(config['dataloader']['dataset'], args) | dict(seed=args.seed)
        dataset |= dict(num=args.num_samples) if args.num_samples else {}
        dataset |= dict(size=args.size) if args.size else {}
        if dataset['type'].endswith('ObjectPairs'):
            dataset |= dict(ratios=args.ratios) if args.ratios else {}
            dataset |= dict(source=args.pairs) if args.pairs else {}
        found[name] = {**config, 'dataloader': {**config['dataloader'], 'dataset': dataset}}
    return found


def _compact(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The columns that fit a line."""
    left_out = ('missing', 'full_angle_se', 'raw_median', 'raw_se', 'centred_median')
    return [{key: v for key, v in row.items() if key not in left_out} for row in rows]


def _draw(
    args: argparse.Namespace,
    values: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]],
    ratios: Sequence[float],
    averages: Sequence[Mapping[str, Any]],
    networks: Sequence[Network],
) -> None:
    from mmdssl.visualization.coupling import (
        draw_coupling_by_layer,
        draw_coupling_curves,
        draw_coupling_histogram,
    )

    drawn = []
    for measure, by_network in values.items():
        title = {**_INTER, **_INTRA}.get(measure, measure)
        last = {name: by_layer[list(by_layer)[-1]] for name, by_layer in by_network.items()}
        several = any(len(by_layer) > 1 for by_layer in by_network.values())
        if measure in _INTER:
            path = args.out / f'{measure}.png'
            drawn.append(draw_coupling_curves(last, ratios, path, title=title))
        elif measure in _INTRA:
            path = args.out / f'{measure}.png'
            drawn.append(draw_coupling_histogram(last, path, label=title))
        if several and measure in {**_INTER, **_INTRA}:
            parts = {
                name: {layer: one[..., 0] if one.ndim == 3 else one for layer, one in own.items()}
                for name, own in by_network.items()
            }
            path = args.out / f'{measure}_layers.png'
            start = 1.0 if measure in _INTER else 0.0
            drawn.append(draw_coupling_by_layer(parts, path, label=title, start=start))
    if args.against:
        drawn.append(_draw_against(args, averages, networks))
    for path in drawn:
        print(f'wrote {path}')


def _draw_against(
    args: argparse.Namespace, rows: Sequence[Mapping[str, Any]], networks: Sequence[Network]
) -> Any:
    """CR of the last layer against what stands behind the @ of a network's name."""
    from mmdssl.visualization.coupling import draw_coupling_against

    series: dict[str, dict[float | str, tuple[float, float]]] = {}
    for network in networks:
        method, value = _setting(args, network)
        own = [r for r in rows if r['network'] == network.name and r['measure'] == 'cr_inter']
        if own:
            series.setdefault(method, {})[value] = own[-1]['mean'], own[-1]['se']
    return draw_coupling_against(series, args.out / 'coupling_against.png', xlabel=args.against)


def _setting(args: argparse.Namespace, network: Network) -> tuple[str, float | str]:
    """Method and value that a network is named by.

    Raises:
        ValueError: If it is not.
    """
    method, at, text = network.name.rpartition('@')
    if not at:
        raise ValueError(
            f'--against {args.against!r} reads settings from names: give METHOD@VALUE=CHECKPOINT '
            f'in place of {network.name!r}'
        )
    try:
        return method, float(text)
    except ValueError:
        return method, text
