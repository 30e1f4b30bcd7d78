"""What the analyses share: networks from a config and checkpoints, data, tables with their facts.

Heavy packages are imported where they are used, so that ``--help`` answers at once.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdssl.cli.arguments import (
    add_cfg_options,
    add_config,
    add_source,
    command_text,
    positive,
)
from mmdssl.core.shipped import shipped
from mmdssl.engine.command_line import named_file

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

    from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor

__all__ = [
    'Network',
    'Run',
    'add_data_arguments',
    'add_network_arguments',
    'check_annotated',
    'check_boxes',
    'check_layers',
    'data_config',
    'image_folder',
    'load_networks',
    'moved',
    'read_config',
    'result_rows',
    'write_csv',
    'write_results',
]

Run = Callable[[argparse.Namespace], None]

_COUNTS = ('num', 'objects', 'pairs', 'parts')  # mmengine's metrics are floats


@dataclass
class Network:
    """A frozen network to measure.

    Attributes:
        name: To print.
        checkpoint: Where its weights are from; None: untrained, or as its library gives them.
        extractor: Backbone and preprocessor.
    """

    name: str
    checkpoint: Path | None
    extractor: 'FeatureExtractor'

    @property
    def backbone(self) -> 'nn.Module':
        """The backbone."""
        return self.extractor.backbone

    @property
    def origin(self) -> str:
        """Where its weights are from."""
        if self.checkpoint is None and getattr(self.backbone, 'with_weights', False):
            return f'those of {getattr(self.backbone, "title", "its library")}'  # of an adapter
        return str(self.checkpoint or 'untrained')

    @property
    def preprocessor(self) -> 'nn.Module':
        """What normalises its images."""
        return self.extractor.data_preprocessor


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """CONFIG, CHECKPOINTs and how to read them."""
    add_config(parser, 'of a pre-training run, or with a FeatureExtractor as model')
    parser.add_argument(
        'checkpoints',
        nargs='*',
        metavar='[NAME=]CHECKPOINT',
        help="a file, or 'random' for the untrained network; none: the untrained network alone",
    )
    add_source(parser, 'checkpoints')
    parser.add_argument(
        '--seed', type=int, default=0, help='of untrained weights and of samples (default: 0)'
    )
    parser.add_argument('--device', help='default: a GPU where there is one')
    add_cfg_options(parser, 'model.backbone.img_size=448')


def add_data_arguments(
    parser: argparse.ArgumentParser, *, num: int | None, things: str, annotated: bool = True
) -> None:
    """Where the images are and how many are used; ``num=None``: as many as the config says."""
    parser.add_argument('--data-root', type=Path, help="folder of the data, in place of CONFIG's")
    if annotated:
        parser.add_argument('--ann-file', help='COCO json, relative to --data-root if given')
    parser.add_argument(
        '--image-dir', help='folder of the images, relative to --data-root if given'
    )
    shown = "CONFIG's" if num is None else num
    parser.add_argument(
        '--num-samples', type=positive, default=num, help=f'{things} (default: {shown})'
    )


def read_config(args: argparse.Namespace) -> 'Config':
    """The config with ``--cfg-options``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no backbone, or one that cannot take the images it trains on.
    """
    from mmdssl.engine.channels import complete_channels
    from mmdssl.engine.config import load_config

    config = load_config(args.config, args.cfg_options)
    if config.get('model', {}).get('backbone') is None:
        raise ValueError(f'{args.config} has no model with a backbone to measure')
    complete_channels(config)
    return config


def load_networks(args: argparse.Namespace, config: 'Config') -> list[Network]:
    """The networks named on the command line, in order.

    Raises:
        FileNotFoundError: If a checkpoint does not exist.
        ValueError: If two networks have one name, or a checkpoint covers too little.
    """
    import torch
    from mmengine.logging import MMLogger
    from mmengine.runner import set_random_seed

    from mmdssl.engine.extractor import build_extractor

    MMLogger.get_current_instance().setLevel('WARNING')  # init_weights logs every parameter
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    networks: list[Network] = []
    for text in args.checkpoints or ['random']:
        name, place = named_file(text)
        checkpoint = None if place == 'random' else Path(place)
        if any(network.name == name for network in networks):
            raise ValueError(f'two networks are named {name!r}: give NAME=CHECKPOINT')
        set_random_seed(args.seed)  # the untrained network is that of this seed
        extractor = build_extractor(config, checkpoint, args.source).to(device)
        given: Any = extractor.backbone
        if text == 'random' and getattr(given, 'with_weights', False):
            name = given.title  # an adapter brings weights
        networks.append(Network(name, checkpoint, extractor))
    return networks


def check_layers(networks: Iterable[Network], layers: Sequence[str]) -> None:
    """Ask every network for the layers before anything is measured.

    Raises:
        ValueError: If one has no such layer.
    """
    from mmdssl.evaluation.layers import resolve_layer

    for network in networks:
        for layer in layers:
            resolve_layer(network.backbone, layer)


def data_config(config: 'Config', key: str, base: str) -> Any:
    """Entry ``key`` of the config, or of ``configs/_base_/datasets/<base>`` where it has none."""
    found = config.get(key)
    if found is not None:
        return found
    from mmengine.config import Config

    from mmdssl.engine.channels import channels_of, reader_settings, set_loading

    own = Config.fromfile(shipped('configs') / '_base_' / 'datasets' / base)[key]
    if channels_of(config) is not None:
        set_loading(own, reader_settings(config))
    return own


def check_boxes(
    args: argparse.Namespace, config: 'Config', dataset: Mapping[str, Any], ann_file: str
) -> None:
    """Say where labels are needed that images of n channels do not have.

    Args:
        args: The command line.
        config: Of the networks.
        dataset: Whose ``data_root`` the file is relative to.
        ann_file: The COCO json file that is read next.

    Raises:
        ValueError: If the network takes images of n channels and there is no such file.
    """
    from mmdssl.engine.channels import channels_of

    channels = channels_of(config)
    file = Path(dataset.get('data_root') or '', ann_file)
    if channels is not None and not file.is_file():
        raise ValueError(
            f'{args.config} trains on images of {channels} channels, and there are no boxes of '
            f'such images in {file}: give --data-root and --ann-file of labelled ones; position, '
            'consistency, report and affinity --points need none'
        )


def moved(dataset: Mapping[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """A data set's config with the files of the command line.

    Raises:
        ValueError: If they name images without their annotations.
    """
    check_annotated(args)
    result = dict(dataset)
    if args.data_root or args.ann_file:
        result['data_root'] = str(args.data_root or '')
    if args.ann_file:
        result['ann_file'] = args.ann_file
    if args.image_dir:
        result['data_prefix'] = args.image_dir
    return result


def check_annotated(args: argparse.Namespace) -> None:
    """Refuse images without their annotations.

    Raises:
        ValueError: If ``--image-dir`` stands alone.
    """
    if args.image_dir and not (args.ann_file or args.data_root):
        raise ValueError('--image-dir needs its annotations: give --ann-file, or --data-root')


def image_folder(args: argparse.Namespace, config: 'Config') -> Path:
    """The folder of photos: the command line's, or the query images of the config's O-KNN.

    Of a training on images of n channels that was not measured on any: its own images.
    """
    if args.image_dir:
        return Path(args.data_root or '', args.image_dir)
    dataset = data_config(config, 'object_knn_dataloader', 'coco_object_knn.py')['dataset']
    query = Path(
        args.data_root or dataset['data_root'], dataset['datasets']['query']['data_prefix']
    )
    from mmdssl.engine.channels import channels_of

    hooks = [str(hook.get('type')) for hook in config.get('custom_hooks') or ()]
    own = any(kind.endswith('ObjectKNNHook') for kind in hooks)  # else those are a config's photos
    if channels_of(config) is None or args.data_root or (own and query.is_dir()):
        return query
    return Path(config.train_dataloader.dataset.data_root)


def result_rows(network: str, numbers: Mapping[str, float]) -> list[dict[str, Any]]:
    """Numbers of probe metrics as rows of a table.

    ``'cr_inter/last@0.5/mean'`` becomes column ``mean`` of the row with network, measure
    ``cr_inter``, layer ``last`` and missing ``0.5`` ('' for the average over all ratios).
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, value in numbers.items():
        path, _, statistic = name.rpartition('/')
        measure, _, place = path.partition('/')
        layer, _, missing = place.partition('@')
        first = dict(network=network, measure=measure, layer=layer, missing=missing)
        rows.setdefault(path, first)[statistic] = int(value) if statistic in _COUNTS else value
    return list(rows.values())


def write_results(
    args: argparse.Namespace,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    networks: Sequence[Network],
    data: Mapping[str, Any],
    shown: Sequence[Mapping[str, Any]] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Print the table and write it as ``<name>.csv`` and, with its facts, as ``<name>.json``.

    Args:
        args: The command line.
        name: Of the files.
        rows: Of the table; a row may lack columns.
        networks: What was measured.
        data: How the samples were chosen, by data set.
        shown: Rows to print where not all fit the eye.
        more: Other entries of the JSON file.
    """
    from rich.console import Console
    from rich.table import Table

    from mmdssl.core.checkpointing import atomic_text
    from mmdssl.visualization.report import hardware, versions

    printed = rows if shown is None else shown
    columns = _columns(printed)
    table = Table(title=name.replace('_', ' '))
    for column in columns:
        numeric = not any(isinstance(row.get(column), str) for row in printed)
        table.add_column(column, justify='right' if numeric else 'left', overflow='fold')
    for row in printed:
        table.add_row(*(_cell(row.get(column, '')) for column in columns))
    console = Console()
    # A file is as wide as its table, a terminal as it is.
    Console(width=None if console.is_terminal else 200).print(table)
    content = dict(
        command=command_text(),
        arguments={key: _plain(value) for key, value in vars(args).items() if key != 'run'},
        seed=args.seed,
        networks={n.name: n.origin for n in networks},
        data=_plain(data),
        versions=versions(),
        hardware=hardware(),
        rows=[_plain(row) for row in rows],
        **_plain(more or {}),
    )
    print(f'wrote {write_csv(args.out / f"{name}.csv", rows)}')
    atomic_text(json.dumps(content, indent=1) + '\n', args.out / f'{name}.json')
    print(f'wrote {args.out / f"{name}.json"}')


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows, all their keys as header; gives the path back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, fieldnames=_columns(rows))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.2f}' if abs(value) >= 10 else f'{value:.3f}'
    return str(value)


def _plain(value: Any) -> Any:
    """What JSON can hold: paths as text, NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
