"""O-KNN of several networks: scores with intervals, classes, confusion."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdssl.cli.analyze.common import (
    Network,
    Run,
    add_data_arguments,
    add_network_arguments,
    check_annotated,
    check_boxes,
    data_config,
    load_networks,
    read_config,
    write_csv,
    write_results,
)

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ['object_knn']

_BASE = 'coco_object_knn.py'


def object_knn(parser: argparse.ArgumentParser) -> Run:
    """O-KNN and O-KNN-D with intervals, by class, and confusion (tables of both papers)."""
    add_network_arguments(parser)
    add_data_arguments(parser, num=500, things='images of each side, evenly spaced')
    for name in ('--ann-file', '--image-dir'):
        action = next(a for a in parser._actions if name in a.option_strings)
        action.nargs, action.metavar = 2, ('BANK', 'QUERY')
    parser.add_argument('--size', type=int, help="side of the images in pixels, for CONFIG's")
    parser.add_argument('--bootstrap', type=int, default=1000, help='sets of images drawn')
    parser.add_argument('--classes', type=int, default=20, help='classes shown apart in confusion')
    return _run


def _run(args: argparse.Namespace) -> None:
    from mmengine.evaluator import Evaluator
    from mmengine.registry import DefaultScope
    from mmengine.runner import Runner

    from mmdssl.evaluation.passes import evaluate_loader
    from mmdssl.registry import METRICS

    config = read_config(args)
    loader_config = _loader(args, config)
    evaluators = [
        {**one, 'bootstrap': args.bootstrap, 'seed': args.seed}
        for one in data_config(config, 'object_knn_evaluator', _BASE)
    ]
    networks = load_networks(args, config)
    with DefaultScope.overwrite_default_scope('mmdssl'):
        loader = Runner.build_dataloader(loader_config, seed=args.seed)
    measured: dict[str, list[Any]] = {}
    rows, classes = [], []
    for network in networks:
        metrics = [METRICS.build(dict(one)) for one in evaluators]
        numbers = evaluate_loader(network.extractor, loader, Evaluator(metrics), network.name)
        measured[network.name] = metrics
        for metric in metrics:
            own = {k.rpartition('/')[2]: v for k, v in numbers.items() if _owns(metric, k)}
            first = measured[networks[0].name][metrics.index(metric)]
            rows.append(
                dict(network=network.name, measure=metric.prefix, **own)
                | _difference(metric, first, args)
            )
            classes += [
                dict(network=network.name, measure=metric.prefix, **row)
                for row in metric.per_class()
            ]
    data = dict(
        files={k: dict(v, pipeline=None) for k, v in loader_config['dataset']['datasets'].items()},
        data_root=loader_config['dataset'].get('data_root', ''),
        images=args.num_samples,
    )
    write_results(args, 'object_knn', rows, networks=networks, data=data)
    print(f'wrote {write_csv(args.out / "object_knn_classes.csv", classes)}')
    _draw(args, rows, measured, networks, loader.dataset.metainfo['classes'])


def _owns(metric: Any, name: str) -> bool:
    return name.rpartition('/')[0] == metric.prefix


def _difference(metric: Any, first: Any, args: argparse.Namespace) -> dict[str, float]:
    """Top-1 against the first network, with the interval of paired draws of images."""
    from mmdssl.evaluation.bootstrap import bootstrap_shares, percentile_interval

    if metric is first or not args.bootstrap:
        return {}
    one, other = (
        100 * bootstrap_shares(m.hits, m.counts, samples=args.bootstrap, seed=args.seed)[:, 0]
        for m in (metric, first)
    )
    share, base = (100 * m.hits[:, 0].sum() / m.counts.sum() for m in (metric, first))
    low, high = percentile_interval(one - other)
    return dict(top1_gain=float(share - base), top1_gain_low=low, top1_gain_high=high)


def _loader(args: argparse.Namespace, config: 'Config') -> dict[str, Any]:
    """The loader of the config with the files and sizes of the command line.

    Raises:
        ValueError: If images are given without annotations.
    """
    loader = data_config(config, 'object_knn_dataloader', _BASE).to_dict()
    dataset = loader['dataset']
    check_annotated(args)
    if args.data_root or args.ann_file:
        dataset['data_root'] = str(args.data_root or '')
    for name, part in dataset['datasets'].items():
        part['max_images'] = min(args.num_samples, part.get('max_images') or args.num_samples)
        side = 0 if name.startswith('bank') else 1
        if args.ann_file:
            part['ann_file'] = args.ann_file[side]
        if args.image_dir:
            part['data_prefix'] = args.image_dir[side]
        check_boxes(args, config, dataset, part['ann_file'])
    for step in dataset['pipeline']:
        if args.size and step['type'].endswith('ResizeWithBoxes'):
            step['size'] = args.size
    return loader


def _draw(
    args: argparse.Namespace,
    rows: Sequence[dict[str, Any]],
    measured: dict[str, list[Any]],
    networks: Sequence[Network],
    classes: Sequence[str],
) -> None:
    from mmdssl.visualization.confusion import draw_confusion
    from mmdssl.visualization.run_pictures import SCORE_NAMES
    from mmdssl.visualization.scores import draw_scores

    panels: dict[str, Any] = {}
    for title, score in (('Top-1', 'top1'), ('Top-5', 'top5')):
        for row in rows:
            value = row[score]
            ends = row.get(f'{score}_low', value), row.get(f'{score}_high', value)
            label = SCORE_NAMES.get(row['measure'], row['measure'])
            panel = panels.setdefault(title, {}).setdefault(label, {})
            panel[row['network']] = (value, *ends)
    matrices: dict[str, np.ndarray] = {
        network.name: measured[network.name][0].confusion for network in networks
    }
    for path in (
        draw_scores(
            panels,
            args.out / 'object_knn.png',
            label='% of the query objects',
            intervals='bars: 95 % interval over query images' if args.bootstrap else '',
        ),
        draw_confusion(
            matrices, classes, args.out / 'object_knn_confusion.png', limit=args.classes
        ),
    ):
        print(f'wrote {path}')
