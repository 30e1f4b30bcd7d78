"""The page of clickable affinity maps: networks, photos, LSC, tables into one HTML file."""

import argparse
import csv
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import DictAction

if TYPE_CHECKING:
    from torch import Tensor

    from mmdssl.models.feature_extractor import FeatureExtractor

__all__ = ['report']


def report(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """Interactive page: affinity of any clicked point and LSC, for several checkpoints."""
    parser.add_argument('config', type=Path, help='of a run, or with a FeatureExtractor')
    parser.add_argument(
        'checkpoints', nargs='*', metavar='[NAME=]CHECKPOINT', help='none: the untrained net alone'
    )
    parser.add_argument('--images', type=Path, required=True, help='folder of photos')
    parser.add_argument('--num', type=int, default=6, help='photos, evenly spaced over the folder')
    parser.add_argument('--size', type=int, default=448, help='side of the photos in pixels')
    parser.add_argument('--random', action='store_true', help='show the untrained net as well')
    parser.add_argument('--no-lsc', action='store_true', help='without consistency (the slow part)')
    parser.add_argument('--lsc-size', type=int, default=512, help='side of the photos for LSC')
    parser.add_argument('--tables', type=Path, nargs='+', default=[], help='CSV files to show')
    parser.add_argument('--source', choices=('auto', 'teacher', 'student'), default='auto')
    parser.add_argument('--seed', type=int, default=0, help='of the untrained net')
    parser.add_argument('--max-bytes', type=int, default=15_000_000, help='largest page')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    return _run


def _run(args: argparse.Namespace) -> None:
    try:
        path = _write(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'error: {error}')
    print(f'wrote {path} ({path.stat().st_size / 1e6:.1f} MB)')


def _write(args: argparse.Namespace) -> Path:
    import torch
    from mmengine.logging import MMLogger
    from mmengine.runner import set_random_seed
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from mmdssl.evaluation.consistency import LocalSemanticConsistency, step_of
    from mmdssl.visualization.affinity_page import write_affinity_page
    from mmdssl.visualization.report import hardware, versions, without_paths

    MMLogger.get_current_instance().setLevel('WARNING')  # init_weights logs every parameter
    tables = {path.stem.replace('_', ' '): _read_csv(path) for path in args.tables}
    names, photos = _photos(args.images, args.num, args.size)
    large = None if args.no_lsc else _photos(args.images, args.num, args.lsc_size)[1]
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    maps: dict[str, Tensor] = {}
    lsc: dict[str, list[Tensor]] = {}
    border, rows = 0.0, []
    for name, checkpoint in _checkpoints(args.checkpoints, with_random=args.random).items():
        set_random_seed(args.seed)
        extractor = _extractor(args, checkpoint).to(device)
        maps[name] = torch.cat([_features(extractor, photo) for photo in photos])
        if large is None:
            continue
        lsc[name] = [
            _consistency(extractor, photo)
            for photo in track(large, f'LSC of {name}', console=Console(stderr=True))
        ]
        border = 2 * step_of(extractor.backbone) / args.lsc_size  # half of the other 4 patches
        metric = LocalSemanticConsistency()
        metric.process(None, [dict(local_consistency=one) for one in lsc[name]])
        found = metric.compute_metrics(metric.results)
        rows.append(
            {
                'network': name,
                'mean': found['mean'],
                'deviation between photos': found['std'],
                'deviation within a photo': found['std_within'],
                'photos': int(found['num_images']),
            }
        )
    if rows:
        tables = {'Local semantic consistency': rows, **tables}
        table = Table(*rows[0], title='local semantic consistency')
        for row in rows:
            table.add_row(*(f'{v:.3f}' if isinstance(v, float) else str(v) for v in row.values()))
        Console().print(table)
    return write_affinity_page(
        photos,
        {name: list(own) for name, own in maps.items()},
        lsc or None,
        tables,
        args.out if args.out.suffix == '.html' else args.out / 'report.html',
        names=names,
        lsc_border=border,
        max_bytes=args.max_bytes,
        title=f'Point affinity: {args.config.stem}',
        facts={
            'Command': without_paths(shlex.join(['python', *sys.argv])),
            'Data': f'{len(names)} photos, evenly spaced over a folder, squashed to {args.size} px'
            + ('' if large is None else f' ({args.lsc_size} px for LSC)'),
            'Seed': str(args.seed),
            'Hardware': hardware(),
            'Versions': versions(),
        },
    )


def _checkpoints(given: Sequence[str], *, with_random: bool) -> dict[str, Path | None]:
    """Checkpoints by the name to show; None is the untrained net.

    Raises:
        ValueError: If two have one name.
    """
    found: dict[str, Path | None] = {}
    if with_random or not given:
        found['untrained'] = None
    for text in given:
        name, _, path = text.rpartition('=')
        name = name or Path(path).stem
        if name in found:
            raise ValueError(f'two networks are named {name!r}: give NAME=CHECKPOINT')
        found[name] = Path(path)
    return found


def _extractor(args: argparse.Namespace, checkpoint: Path | None) -> 'FeatureExtractor':
    from mmdssl.engine.config import load_config
    from tools.test import build_extractor

    config = load_config(args.config, args.cfg_options)
    if config.get('model', {}).get('backbone') is None:
        raise ValueError(f'{args.config} has no model with a backbone')
    return build_extractor(config, checkpoint, args.source)


def _photos(folder: Path, number: int, size: int) -> 'tuple[list[str], list[Tensor]]':
    """Names, and photos (3, size, size) uint8 RGB."""
    import torch

    from mmdssl.datasets.base import evenly_spaced
    from mmdssl.datasets.decode import IMAGE_EXTENSIONS, decode_image
    from mmdssl.datasets.image_list import list_images
    from mmdssl.datasets.transforms.views import resize_image

    files = list_images(folder, IMAGE_EXTENSIONS, cache=False)
    if not len(files):
        raise FileNotFoundError(f'no image in {folder}')
    paths = [folder / os.fsdecode(files[i]) for i in evenly_spaced(len(files), number)]
    pixels = (resize_image(decode_image(path), (size, size)) for path in paths)
    return (
        [path.name for path in paths],
        [torch.from_numpy(one).permute(2, 0, 1).contiguous() for one in pixels],
    )


def _features(extractor: 'FeatureExtractor', photo: 'Tensor') -> 'Tensor':
    """The dense map (1, C, h, w) of one photo, on the CPU."""
    from mmdssl.evaluation.guards import evaluating

    images = extractor.data_preprocessor(dict(inputs=photo[None]), False)['inputs']
    with evaluating(extractor):
        return extractor(images, mode='tensor').cpu()


def _consistency(extractor: 'FeatureExtractor', photo: 'Tensor') -> 'Tensor':
    """The LSC map (I, J) of one photo, on the CPU."""
    from mmdssl.evaluation.consistency import local_consistency

    images = extractor.data_preprocessor(dict(inputs=photo[None]), False)['inputs']
    return local_consistency(extractor.backbone, images)[0].cpu()


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
