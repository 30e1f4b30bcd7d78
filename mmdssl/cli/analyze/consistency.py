"""Local semantic consistency of several networks on a few photos."""

import argparse

from mmdssl.cli.analyze.common import (
    Run,
    add_data_arguments,
    add_network_arguments,
    check_layers,
    image_folder,
    load_networks,
    read_config,
    write_results,
)

__all__ = ['consistency']


def consistency(parser: argparse.ArgumentParser) -> Run:
    """LSC maps and means (Mind Your Augmentation, Fig. 17 and 18)."""
    add_network_arguments(parser)
    add_data_arguments(parser, num=4, things='images, evenly spaced', annotated=False)
    parser.add_argument(
        '--size', type=int, default=512, help='side of the images in pixels (default: 512)'
    )
    parser.add_argument(
        '--patch', type=int, help="step of the crops; default: the network's, or 16"
    )
    parser.add_argument(
        '--crop', type=int, default=5, help='side of a crop in patches (default: 5)'
    )
    parser.add_argument(
        '--pool',
        choices=('patches', 'cls'),
        default='patches',
        help='features of a crop: mean of its patches (default), or class token',
    )
    parser.add_argument('--region', choices=('cells', 'roi_align'), default='cells')
    parser.add_argument('--layer', default='last')
    return _run


def _run(args: argparse.Namespace) -> None:
    import torch
    from rich.console import Console
    from rich.progress import track

    from mmdssl.datasets.few_photos import load_photos
    from mmdssl.engine.channels import reader_of
    from mmdssl.evaluation.consistency import (
        LocalSemanticConsistency,
        local_consistency,
        step_of,
    )
    from mmdssl.visualization.consistency import draw_consistency

    config = read_config(args)
    folder = image_folder(args, config)
    names, photos = load_photos(folder, args.num_samples, args.size, reader_of(config))
    networks = load_networks(args, config)
    check_layers(networks[:1], [args.layer])
    rows, maps = [], {}
    console = Console(stderr=True)
    for network in networks:
        device = next(network.backbone.parameters()).device
        found = []
        for photo in track(photos, network.name, console=console, disable=not console.is_terminal):
            batch = network.preprocessor(dict(inputs=photo[None].to(device)), False)
            found.append(
                local_consistency(
                    network.backbone,
                    batch['inputs'],
                    patch=args.patch,
                    crop=args.crop,
                    pool=args.pool,
                    region=args.region,
                    layer=args.layer,
                )[0].cpu()
            )
        metric = LocalSemanticConsistency()
        metric.process(None, [dict(local_consistency=one) for one in found])
        numbers = metric.evaluate(len(found))
        rows.append(
            dict(network=network.name, layer=args.layer)
            | {name.rpartition('/')[2]: value for name, value in numbers.items()}
        )
        maps[network.name] = found
    step = args.patch or step_of(networks[0].backbone)
    data = dict(folder=folder, photos=names, size=args.size)
    write_results(args, 'consistency', rows, networks=networks, data=data)
    border = (args.crop - 1) / 2 * step / args.size
    path = draw_consistency(torch.stack(photos), maps, args.out / 'consistency.png', border=border)
    print(f'wrote {path}')
