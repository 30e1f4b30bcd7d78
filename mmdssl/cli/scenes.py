"""Write a synthetic multi-object data set in COCO format, with ADE20K-style label maps.

    mmdssl scenes data/scenes --images 2000 --size 128 --seed 0

Interrupted, the same command resumes where it stopped. `--context-bias` turns the coupling of
objects to background and neighbours up (1) or off (0); `scenes.json` in the folder says what
came out.
"""

import argparse
import sys

from mmdssl.cli.arguments import add_workers, failed
from mmdssl.engine.command_line import CommandLine

# What `mmdssl.datasets.scenes` knows, again: --help need not wait for torch.
SETTINGS = ('default', 'demo', 'miniature')
NAMES = dict(
    shapes='disc square triangle hexagon star cross ring heart crescent',
    textures='striped checked dotted ringed zigzag plain',
    hues='red yellow green cyan blue violet pink',
    backgrounds='blobs stripes noise grid',
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', help='folder to write')
    parser.add_argument('--images', type=int, default=2000, help='training images (2000)')
    parser.add_argument('--val-images', type=int, help='validation images (a fifth of --images)')
    parser.add_argument('--preset', choices=SETTINGS, default='default', help='named settings')
    parser.add_argument('--size', type=int, help='side of the images in pixels')
    parser.add_argument('--seed', type=int, help='seed of the set')
    parser.add_argument(
        '--context-bias',
        type=float,
        metavar='B',
        help='how often a class comes with its own context, from 0 (chance) to 1 (always)',
    )
    parser.add_argument(
        '--objects', type=int, nargs=2, metavar=('MIN', 'MAX'), help='objects in an image'
    )
    for option, known in NAMES.items():
        parser.add_argument(f'--{option}', nargs='+', metavar='NAME', help=f'of: {known}')
    parser.add_argument(
        '--channels',
        type=int,
        choices=(3, 5),
        default=3,
        help='5: TIFF of 12 bits in 16, with a near infrared and a temperature (3: JPEG)',
    )
    parser.add_argument('--voc', metavar='FOLDER', help='folder for a copy in the layout of VOC')
    add_workers(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Write the scenes; 0, or 130 where interrupted."""
    args = parse_args(argv)
    from mmdssl.datasets.scenes import PRESETS, SceneSpec, write_scenes, write_voc

    settings = dict(PRESETS[args.preset])
    for key in ('size', 'seed', 'context_bias', 'objects', *NAMES):
        value = getattr(args, key)
        if value is not None:
            settings[key] = tuple(value) if isinstance(value, list) else value
    if args.voc and args.channels != 3:
        return failed(ValueError('--voc: the layout of VOC has JPEG images: leave out --channels'))
    try:
        spec = SceneSpec(**settings)
        record = write_scenes(
            args.out,
            spec,
            images=args.images,
            val_images=args.images // 5 if args.val_images is None else args.val_images,
            workers=args.workers,
            channels=args.channels,
        )
        lists = write_voc(args.out, args.voc) if args.voc else {}
    except (ValueError, OSError, ModuleNotFoundError) as error:
        return failed(error)
    except KeyboardInterrupt:
        print(f'interrupted: the same command completes {args.out}', file=sys.stderr)
        return 130
    for split, facts in record['splits'].items():
        if facts['images']:
            print(
                f'{split}: {facts["images"]} images, {facts["objects"]} objects of '
                f'{len(spec.classes)} classes, {facts["tied_share"]:.1%} on their own background '
                f'(chance {1 / len(spec.backgrounds):.1%})'
            )
    for name, images in lists.items():
        print(f'{args.voc}: {name}.txt, {images} images')
    return 0
