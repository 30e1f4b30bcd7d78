"""Point affinity of several networks on a few photos."""

import argparse
from typing import TYPE_CHECKING, Any

from mmdssl.cli.analyze.common import (
    Run,
    add_data_arguments,
    add_network_arguments,
    check_boxes,
    data_config,
    image_folder,
    load_networks,
    read_config,
    write_results,
)

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import Tensor

__all__ = ['affinity']


def affinity(parser: argparse.ArgumentParser) -> Run:
    """Cosine of one place with all others (Mind Your Augmentation, Fig. 15 and 16)."""
    add_network_arguments(parser)
    add_data_arguments(parser, num=4, things='images')
    parser.add_argument('--size', type=int, default=448, help='side of the images in pixels')
    parser.add_argument('--map-size', type=int, default=56, help='side of the maps in cells')
    parser.add_argument(
        '--points',
        nargs='+',
        metavar='X,Y',
        help='fractions of width and height, the same in all images; default with annotations: the '
        'largest object and the background, else 0.5,0.5',
    )
    return _run


def _run(args: argparse.Namespace) -> None:
    from mmdssl.visualization.affinity import affinity_of, draw_affinity

    config = read_config(args)
    photos, points, data = _photos(args, config)
    networks = load_networks(args, config)
    rows, maps = [], {}
    for network in networks:
        device = next(network.backbone.parameters()).device
        found = []
        for photo, own in zip(photos, points, strict=True):
            images = network.preprocessor(dict(inputs=photo[None].to(device)), False)['inputs']
            found.append(
                affinity_of(network.backbone, images, own[None].to(device), size=args.map_size)
            )
        maps[network.name] = _joined(found)  # (N, P, S, S)
        rows += _rows(network.name, maps[network.name])
    write_results(args, 'affinity', rows, networks=networks, data=data)
    print(f'wrote {draw_affinity(photos, points, maps, args.out / "affinity.png")}')


def _joined(found: 'list[Tensor]') -> 'Tensor':
    import torch

    return torch.cat(found).cpu()


def _rows(network: str, maps: 'Tensor') -> list[dict[str, Any]]:
    """For every point of a photo: how high and how varied the cosines are."""
    return [
        dict(
            network=network,
            point=number,
            mean=float(own.mean()),
            std=float(own.std()),
            lowest=float(own.min()),
            share_above_half=float((own > 0.5).float().mean()),
        )
        for number, own in enumerate(maps.unbind(1), start=1)
    ]


def _photos(args: argparse.Namespace, config: 'Config') -> 'tuple[Tensor, Tensor, dict[str, Any]]':
    """Photos (N, 3, S, S) uint8 or as read of n channels, points (N, P, 2), and what they are.

    Raises:
        ValueError: If a point is not as said.
    """
    import torch
    from mmengine.config import Config

    from mmdssl.datasets.few_photos import load_photos
    from mmdssl.engine.channels import reader_of
    from mmdssl.visualization.run_pictures import query_images

    if args.points or (args.image_dir and not args.ann_file):
        folder = image_folder(args, config)
        names, found = load_photos(folder, args.num_samples, args.size, reader_of(config))
        chosen = torch.tensor([_point(text) for text in args.points or ['0.5,0.5']])
        data = dict(folder=folder, photos=names, size=args.size)
        return torch.stack(found), chosen.expand(len(found), -1, -1), data
    loader = data_config(config, 'object_knn_dataloader', 'coco_object_knn.py').to_dict()
    dataset, query = loader['dataset'], loader['dataset']['datasets']['query']
    if args.data_root or args.ann_file:
        dataset['data_root'] = str(args.data_root or '')
    query |= dict(ann_file=args.ann_file) if args.ann_file else {}
    query |= dict(data_prefix=args.image_dir) if args.image_dir else {}
    check_boxes(args, config, dataset, query['ann_file'])
    photos, points = query_images(
        Config(dict(object_knn_dataloader=loader)), args.num_samples, args.size
    )
    data = dict(data_root=dataset['data_root'], size=args.size, **query, points=points.tolist())
    return photos, points, data


def _point(text: str) -> tuple[float, float]:
    parts = text.split(',')
    try:
        x, y = (float(part) for part in parts)
    except ValueError:
        raise ValueError(f'--points {text!r} is not X,Y such as 0.5,0.25') from None
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError(f'--points {text!r}: both are fractions of the image, in [0, 1]')
    return x, y
