"""One page that measures networks side by side: objects, coupling, position, patches, speed.

    mmdssl card run_a run_b/iter_1000.pth --data COCO --out work_dirs/card
    mmdssl card ours=run_a config.py:weights.pth timm:resnet50 hf:folder --data COCO
    mmdssl card run_a config.py:untrained timm:vit_small_patch16_224:untrained --data COCO

BACKBONE is a run, a checkpoint or a converted file of this package, CONFIG:CHECKPOINT, timm:NET,
torchvision:NET or hf:FOLDER; ':untrained' in place of weights measures the network without any, and
NAME= in front names it. COCO is a folder with annotations/instances_train*.json beside train*/, and
val likewise; of images of n channels for networks that were trained on such. Writes card.html,
which needs no network to be read, and NAME.json of every network. What is measured is kept: the
same command goes on where it was interrupted, and further networks may be added.
"""

import argparse
from pathlib import Path

from mmdssl.cli.arguments import add_source, add_workers, command_text, failed, positive
from mmdssl.engine.command_line import CommandLine


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('backbones', nargs='+', metavar='[NAME=]BACKBONE', help='see above')
    parser.add_argument('--data', type=Path, required=True, help="labelled photos in COCO's layout")
    for name, what in (('--ann-file', 'COCO json files'), ('--image-dir', 'folders of photos')):
        parser.add_argument(
            name, nargs=2, metavar=('BANK', 'QUERY'), help=f'{what}, relative to --data'
        )
    parser.add_argument(
        '--photos', type=Path, help='photos for position and consistency (default: of the queries)'
    )
    parser.add_argument(
        '--num', type=positive, default=500, help='photos of bank and of queries (default: 500)'
    )
    parser.add_argument(
        '--size', type=positive, default=224, help='side of the photos in pixels (default: 224)'
    )
    parser.add_argument(
        '--measures', nargs='+', metavar='GROUP', help='some of: speed objects inter intra '
        'background position consistency (default: all)',
    )  # fmt: skip
    parser.add_argument('--bootstrap', type=positive, default=1000, help='sets of photos drawn')
    parser.add_argument('--batch-size', type=positive, default=16, help='photos in a pass')
    parser.add_argument('--seed', type=int, default=0, help='of all draws, and untrained weights')
    parser.add_argument('--device', help='default: a GPU where there is one')
    add_source(parser)
    add_workers(parser)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/card'))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Measure and write; 0, or 2 with one sentence on unusable input."""
    args = parse_arguments(argv)
    from mmengine.logging import MMLogger

    from mmdssl.engine.card.data import choose_data
    from mmdssl.engine.card.measures import GROUPS
    from mmdssl.engine.card.networks import open_networks
    from mmdssl.engine.card.parts import CardSettings
    from mmdssl.engine.card.run import card_file, measure_card
    from mmdssl.visualization.card_page import write_card_page

    MMLogger.get_current_instance().setLevel('WARNING')  # init_weights logs every parameter
    settings = CardSettings(
        size=args.size,
        seed=args.seed,
        bootstrap=args.bootstrap,
        batch=args.batch_size,
        workers=args.workers,
    )
    try:
        groups = args.measures or list(GROUPS)
        unknown = [name for name in groups if name not in GROUPS]
        if unknown:
            raise ValueError(f'no measures {unknown[0]!r}: there are {", ".join(GROUPS)}')
        networks = open_networks(
            args.backbones, seed=args.seed, source=args.source, device=args.device
        )
        data = choose_data(
            args.data,
            args.out / 'data',
            num=args.num,
            ann_files=args.ann_file,
            image_dirs=args.image_dir,
            photos=args.photos,
            reader=networks[0].reader,
        )
        cards = []
        for network in networks:
            card = measure_card(
                network, data, settings, args.out, groups=groups, command=command_text()
            )
            cards.append(card)
            print(f'wrote {card_file(network.name, args.out)}')
        page = write_card_page(cards, args.out, title=_title(cards, args.data))
    except (ValueError, OSError, ImportError) as error:
        return failed(error)
    print(f'wrote {page} ({page.stat().st_size / 1e6:.1f} MB)')
    return 0


def _title(cards: list[dict], data: Path) -> str:
    if len(cards) == 1:
        return f'{cards[0]["network"]} on {data.resolve().name}'
    return f'{len(cards)} networks on {data.resolve().name}'
