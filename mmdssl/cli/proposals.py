"""Search images for boxes that may hold objects, without labels, for SoCo and D3SSL.

    mmdssl proposals data/coco/train2017 data/coco/proposals/ss_train2017.npz
    mmdssl proposals IMAGES OUT --workers 16 --shard 0/4     # on four machines: 0..3
    mmdssl proposals IMAGES OUT --merge                      # when all OUT.parts/*.part are here
    mmdssl proposals IMAGES OUT --executor slurm --parts 16 --set slurm_partition=cpu
    mmdssl proposals IMAGES FOLDER --executor slurm --parts 16 --separate   # one file a part
    mmdssl proposals IMAGES OUT --validate
    mmdssl proposals IMAGES OUT --draw 4       # look first: OUT's name with .png
    mmdssl proposals IMAGES OUT --channels 5   # images that are no photos

Interrupted, the same command resumes where it stopped; with new images in the folder it adds them.
Unreadable images are skipped and reported. Defaults are SoCo's settings (selective search,
`ratio3size0308`). Images of n channels are searched in a picture of three colours,
which --draw shows.
"""

import argparse
import ast
import os
import re
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdssl.cli.arguments import add_workers, positive
from mmdssl.core.wording import printable
from mmdssl.engine.command_line import CommandLine

if TYPE_CHECKING:  # imported where it is needed: --help need not wait for the search
    from mmdssl.datasets.channels import FalseColours
    from mmdssl.datasets.proposals.making import MakingReport
    from mmdssl.datasets.proposals.producers import ProposalSettings

RULES = {
    'FULL': 'under the full rule',
    'WITHOUT_SIZE': 'without the limits of size',
    'MIN_SIDE': 'with the minimum side only',
    'WHOLE_IMAGE': 'as whole pictures',
}


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r'(\d+)/(\d+)', text)
    if not found or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(f'{text!r} is not i/n with i from 0 to n - 1, like 0/4')
    return int(found[1]), int(found[2])


def _range(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise argparse.ArgumentTypeError(
            f'{text!r}: give a number, such as 4095, or two, such as 0,4095'
        ) from None


def _three(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not R,G,B like 3,2,1') from None


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'images', help='folder of images, searched with its sub-folders, or of shards'
    )
    parser.add_argument('out', help='proposals file to write (.npz)')
    add_workers(parser)
    parser.add_argument('--shard', type=_shard, default=(0, 1), metavar='i/n', help='part i of n')
    parser.add_argument(
        '--separate', action='store_true', help='OUT is a folder and gets one file a part'
    )
    job = parser.add_argument_group('jobs of submitit, a part of the images each')
    job.add_argument('--executor', choices=('local', 'slurm', 'debug'), help='makes all parts')
    job.add_argument('--parts', type=positive, metavar='N', help='how many')
    job.add_argument('--jobs', type=positive, help='parts side by side (local: 1, slurm: all)')
    job.add_argument(
        '--set',
        nargs='+',
        default=(),
        metavar='KEY=VALUE',
        help='parameters of the executor, as submitit names them',
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--merge', action='store_true', help='put the parts of all shards together')
    mode.add_argument('--validate', action='store_true', help='compare the file with the folder')
    mode.add_argument(
        '--draw',
        type=int,
        metavar='N',
        help='draw what is found in N images, evenly spaced, and stop',
    )
    search = parser.add_argument_group('search')
    search.add_argument(
        '--method',
        choices=('numba', 'opencv'),
        default='numba',
        help="numba (default): scikit-image's segments, computed by Numba; opencv: the search of "
        'its contrib modules',
    )
    search.add_argument('--scale', type=float, default=300, help='scale of the segmentation (300)')
    search.add_argument('--sigma', type=float, default=0.9, help='smoothing in pixels (0.9)')
    search.add_argument('--min-size', type=int, default=100, help='minimum segment in pixels (100)')
    search.add_argument('--no-exif', action='store_true', help='ignore the EXIF orientation')
    rule = parser.add_argument_group('which boxes become proposals')
    rule.add_argument('--min-side', type=float, default=32, help='minimum side in pixels (32)')
    rule.add_argument('--max-aspect', type=float, default=3, help='maximum aspect ratio (3)')
    rule.add_argument(
        '--box-size',
        type=float,
        nargs=2,
        default=(0.3, 0.8),
        metavar=('MIN', 'MAX'),
        help='sqrt of box area over sqrt of image area (0.3 0.8)',
    )
    other = parser.add_argument_group('images that are no photos (TIFF, .npy, ...)')
    other.add_argument('--channels', type=positive, metavar='N', help='of every image')
    other.add_argument(
        '--range',
        type=_range,
        help='what becomes black and white: 4095, --range=-20,5, or a pair a channel; default: of '
        'OUT, or measured as for a training',
    )
    other.add_argument(
        '--colours',
        type=_three,
        metavar='R,G,B',
        help='channels, from 1, searched as red, green and blue; default: principal components',
    )
    other.add_argument('--channels-axis', choices=('first', 'last'), help='where channels stand')
    other.add_argument('--nodata', type=float, help='a value that stands for none')
    args = parser.parse_args(argv)
    of_channels = (args.range, args.colours, args.channels_axis, args.nodata)
    if args.channels is None and any(one is not None for one in of_channels):
        parser.error(
            '--range, --colours, --channels-axis and --nodata are of images of n channels: give '
            '--channels as well'
        )
    if bool(args.executor) != bool(args.parts):
        parser.error('--executor and --parts belong together: how, and in how many parts')
    if args.executor and (args.shard[1] > 1 or args.merge or args.validate or args.draw):
        parser.error('--executor makes all parts: it goes without --shard and the modes')
    if args.merge and args.separate:
        parser.error('--merge makes one file, --separate one a part: give one of them')
    if not args.executor and (args.jobs or args.set):
        parser.error('--jobs and --set are for --executor')
    return args


def _print(report: 'MakingReport') -> None:
    """Say what was done."""
    good = sum(report.rules.values())
    if report.made:
        rate = report.made / report.seconds
        print(f'{report.made} images in {report.seconds:.1f} s ({rate:.2f} images/s)')
    shares = ', '.join(f'{n} {RULES[rule.name]}' for rule, n in sorted(report.rules.items()))
    mean = report.boxes / max(good, 1)
    print(f'{good} images with {report.boxes} boxes, {mean:.1f} each: {shares}')
    print(f'{report.rows} with repetitions: a box is drawn as often as the search gave it')
    for bad in report.bad[:10]:
        print(f'skipped {printable(bad.name)}: {printable(bad.reason)}', file=sys.stderr)
    if report.bad:
        print(
            f'{len(report.bad)} of {report.total} images cannot be read; repaired, the same '
            'command adds them',
            file=sys.stderr,
        )
    if report.changed:
        print(
            f'{report.changed} images are other pictures than those searched before under their '
            'names: searched anew',
            file=sys.stderr,
        )
    if report.complete and not report.written:
        print(f'{report.out} holds all images already: nothing to write')
    elif report.complete:
        print(f'wrote {report.out} ({os.path.getsize(report.out) / 1e6:.1f} MB)')
    else:
        print('this shard is complete; when all are: the same command with --merge')


def _draw(args: argparse.Namespace, settings: 'ProposalSettings') -> Path:
    """A picture of some searches; unreadable images are reported and left out.

    Raises:
        ValueError: No picture can be drawn.
    """
    from mmdssl.datasets.base import evenly_spaced
    from mmdssl.datasets.decode import ImageDecodeError
    from mmdssl.datasets.image_sources import image_source, list_names
    from mmdssl.visualization.proposals import draw_proposals, search_image

    found = list_names(args.images, settings.extensions)
    if args.draw < 1 or not len(found):
        raise ValueError(
            f'--draw {args.draw} of {len(found)} images in {args.images}: none to draw'
        )
    searched = []
    chosen = evenly_spaced(len(found), args.draw)
    for index in chosen.tolist():
        try:
            image = settings.read(image_source(args.images, found[index]))
        except ImageDecodeError as error:
            print(f'skipped {error}', file=sys.stderr)
            continue
        searched.append(search_image(image, settings, printable(found[index])))
    if not searched:
        raise ValueError(f'none of {len(chosen)} images of {args.images} can be read')
    return draw_proposals(searched, Path(args.out).with_suffix('.png'))


def _pictures(args: argparse.Namespace) -> 'FalseColours | None':
    """What makes pictures of the images; None: they are photos.

    Raises:
        ValueError: A setting makes no sense, or no image can be read.
    """
    if args.channels is None:
        return None
    from mmdssl.datasets.proposals.ranges import pictures_of

    return pictures_of(
        args.images,
        args.out,
        channels=args.channels,
        scale=args.range,
        axis=args.channels_axis,
        nodata=args.nodata,
        colours=args.colours,
    )


def _by_jobs(args: argparse.Namespace, settings: 'ProposalSettings') -> bool:
    """All parts by jobs; whether some failed, which is told."""
    from mmdssl.core.jobs import executor_parameters
    from mmdssl.datasets.proposals.jobs import make_by_jobs

    failures = make_by_jobs(
        args.images,
        args.out,
        settings,
        parts=args.parts,
        separate=args.separate,
        executor=args.executor,
        jobs=args.jobs,
        workers=args.workers,
        parameters=executor_parameters(args.set),
    )
    for part, words in failures:
        print(
            f'failed: part {part} of {args.parts}; the same command goes on with it; the end of '
            f'what it said:\n{words}',
            file=sys.stderr,
        )
    if args.separate and not failures:
        print(f'wrote {args.parts} files in {args.out}')
    return bool(failures)


def main(argv: list[str] | None = None) -> int:
    """Make proposals.

    Returns:
        0, 1 for a file that does not fit or a part that failed, 2 for mistakes, 130 if interrupted.
    """
    args = parse_args(argv)
    from mmdssl.datasets.proposals.filters import ProposalFilter
    from mmdssl.datasets.proposals.making import make_proposals, merge_proposals
    from mmdssl.datasets.proposals.producers import ProposalSettings
    from mmdssl.datasets.proposals.validation import validate_proposals

    try:
        settings = ProposalSettings(
            producer=args.method,
            scale=args.scale,
            sigma=args.sigma,
            min_size=args.min_size,
            filter=ProposalFilter(
                min_side=args.min_side, max_aspect=args.max_aspect, size=tuple(args.box_size)
            ),
            exif=not args.no_exif,
            channels=_pictures(args),
        )
        if args.draw is not None:
            print(f'wrote {_draw(args, settings)}')
            return 0
        if args.validate:
            trouble = validate_proposals(args.images, args.out, expect=settings.expected())
            print('\n'.join(trouble) or f'{args.out} fits {args.images}')
            return 1 if trouble else 0
        if args.executor:
            failures = _by_jobs(args, settings)
            if failures or args.separate:
                return 1 if failures else 0
        if args.merge or args.executor:
            report = merge_proposals(args.images, args.out, settings)
        else:
            report = make_proposals(
                args.images,
                args.out,
                settings,
                workers=args.workers,
                shard=args.shard,
                separate=args.separate,
            )
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f'error: {printable(str(error))}', file=sys.stderr)
        return 2
    except BrokenProcessPool:
        print(
            'error: a worker process was killed, most likely for lack of memory: the same command '
            'goes on, with fewer --workers',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print('interrupted: the same command resumes', file=sys.stderr)
        return 130
    _print(report)
    return 0
