"""The page of clickable affinity maps: networks, photos, LSC, tables into one HTML file."""

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdssl.cli.analyze.common import (
    Network,
    Run,
    add_data_arguments,
    add_network_arguments,
    image_folder,
    load_networks,
    read_config,
)
from mmdssl.cli.arguments import command_text, positive

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['report']


def report(parser: argparse.ArgumentParser) -> Run:
    """Interactive page: affinity of any clicked point and LSC, for several checkpoints."""
    add_network_arguments(parser)
    add_data_arguments(parser, num=6, things='images, evenly spaced', annotated=False)
    parser.add_argument('--size', type=positive, default=448, help='side of the images in pixels')
    parser.add_argument('--no-lsc', action='store_true', help='without consistency (the slow part)')
    parser.add_argument('--lsc-size', type=positive, default=512, help='side of images for LSC')
    parser.add_argument('--tables', type=Path, nargs='+', default=[], help='CSV files to show')
    parser.add_argument('--max-bytes', type=positive, default=15_000_000, help='largest page')
    return _run


def _run(args: argparse.Namespace) -> None:
    import torch
    from rich.console import Console
    from rich.progress import track

    from mmdssl.datasets.few_photos import load_photos
    from mmdssl.engine.channels import reader_of
    from mmdssl.evaluation.consistency import LocalSemanticConsistency, step_of
    from mmdssl.visualization.affinity_page import write_affinity_page
    from mmdssl.visualization.report import hardware, versions, without_paths

    tables = {path.stem.replace('_', ' '): _read_csv(path) for path in args.tables}
    config = read_config(args)
    folder = image_folder(args, config)
    reader = reader_of(config)
    names, photos = load_photos(folder, args.num_samples, args.size, reader)
    large = []
    if not args.no_lsc:
        large = load_photos(folder, args.num_samples, args.lsc_size, reader)[1]
    console = Console(stderr=True)
    maps: dict[str, list[Tensor]] = {}
    lsc: dict[str, list[Tensor]] = {}
    border, rows = 0.0, []
    for network in load_networks(args, config):
        maps[network.name] = list(torch.cat([_features(network, photo) for photo in photos]))
        if not large:
            continue
        progress = track(
            large, f'LSC of {network.name}', console=console, disable=not console.is_terminal
        )
        lsc[network.name] = [_consistency(network, photo) for photo in progress]
        border = 2 * step_of(network.backbone) / args.lsc_size  # half of a crop's other 4 patches
        metric = LocalSemanticConsistency()
        metric.process(None, [dict(local_consistency=one) for one in lsc[network.name]])
        found = metric.compute_metrics(metric.results)
        rows.append(
            {
                'network': network.name,
                'mean': found['mean'],
                'deviation between photos': found['std'],
                'deviation within a photo': found['std_within'],
                'photos': int(found['num_images']),
            }
        )
    data = f'{len(names)} photos, evenly spaced over a folder, squashed to {args.size} px'
    if reader is not None:
        data += f', of {reader.channels} channels, shown in false colours'
    path = write_affinity_page(
        photos,
        maps,
        lsc or None,
        {'Local semantic consistency': rows, **tables},
        args.out if args.out.suffix == '.html' else args.out / 'report.html',
        names=names,
        lsc_border=border,
        max_bytes=args.max_bytes,
        title=f'Point affinity: {args.config.stem}',
        facts={
            'Command': without_paths(command_text()),
            'Data': data + (f' ({args.lsc_size} px for LSC)' if large else ''),
            'Seed': str(args.seed),
            'Hardware': hardware(),
            'Versions': versions(),
        },
    )
    print(f'wrote {path} ({path.stat().st_size / 1e6:.1f} MB)')


def _images(network: Network, photo: 'Tensor') -> 'Tensor':
    """A photo (C, H, W) as the batch (1, C, H, W) that the backbone wants."""
    device = next(network.backbone.parameters()).device
    return network.preprocessor(dict(inputs=photo[None].to(device)), False)['inputs']


def _features(network: Network, photo: 'Tensor') -> 'Tensor':
    """The dense map (1, C, h, w) of one photo, on the CPU."""
    from mmdssl.evaluation.guards import evaluating

    with evaluating(network.extractor):
        return network.extractor(_images(network, photo), mode='tensor').cpu()


def _consistency(network: Network, photo: 'Tensor') -> 'Tensor':
    """The LSC map (I, J) of one photo, on the CPU."""
    from mmdssl.evaluation.consistency import local_consistency

    return local_consistency(network.backbone, _images(network, photo))[0].cpu()


def _read_csv(path: Path) -> list[dict[str, Any]]:
    """Rows of a table that another command wrote; numbers as numbers.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f'no table {path}')
    with path.open(newline='') as file:
        return [{key: _number(text) for key, text in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> str | float:
    """A decimal fraction as a number, so that the page rounds it; all else as it is."""
    whole = text.lstrip('+-').isdigit()
    try:
        return text if whole else float(text)
    except ValueError:
        return text
