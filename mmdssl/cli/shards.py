"""Images in tar shards: few large files in place of a million small ones.

    mmdssl shards make PHOTOS SHARDS --size 1GB
    mmdssl shards check SHARDS                        # also s3://bucket/shards
    mmdssl shards index SHARDS                        # of tar files that somebody else has written
    mmdssl pretrain ibot-d data=SHARDS out=run

Shards are tar files in the layout of WebDataset, images byte by byte as they are, with an index by
which any image is one read away: order, shuffling, resuming and several processes are those of the
folder. Interrupted, `make` resumes where it stopped.
Exit status: 0, 1 if `check` finds a shard that is not whole, 2 for mistakes, 130 if interrupted.
"""

import argparse
import re
import sys
import time

from mmdssl.cli.arguments import failed
from mmdssl.core.wording import printable
from mmdssl.engine.command_line import CommandLine

_UNITS = {'': 1, 'K': 10**3, 'M': 10**6, 'G': 10**9, 'T': 10**12}


def _size(text: str) -> int:
    found = re.fullmatch(r'(\d+(?:\.\d+)?)\s*([KMGT]?)B?', text.strip().upper())
    if not found or (size := int(float(found[1]) * _UNITS[found[2]])) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no size like 500MB or 1GB')
    return size


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    maker = commands.add_parser('make', help='write the images of a folder into shards')
    maker.add_argument('folder', help='folder of images, searched with its sub-folders')
    maker.add_argument('out', help='folder of the shards')
    maker.add_argument('--size', type=_size, default='1GB', help='of a shard (default: 1GB)')
    checker = commands.add_parser('check', help='read every shard and compare it with the index')
    checker.add_argument('out', help='folder of the shards, or an address such as s3://...')
    indexer = commands.add_parser('index', help='make the index of tar files that are there')
    indexer.add_argument('out', help='folder of the tar files')
    for one in (maker, indexer):
        one.add_argument(
            '--extensions',
            nargs='+',
            metavar='.ENDING',
            help='of names that count as images, e.g. .tif .npy for channels=N (default: photos)',
        )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """The command line; see the exit status above."""
    args = parse_arguments(argv)
    from mmdssl.datasets.decode import IMAGE_EXTENSIONS
    from mmdssl.datasets.shards.checking import check_shards
    from mmdssl.datasets.shards.making import index_shards, make_shards

    start = time.monotonic()
    try:
        if args.command == 'check':
            index, faults = check_shards(args.out)
            print('\n'.join(faults) or f'{len(index.shards)} shards, {len(index)} images: whole')
            return 1 if faults else 0
        extensions = args.extensions or IMAGE_EXTENSIONS
        if args.command == 'make':
            report = make_shards(args.folder, args.out, size=args.size, extensions=extensions)
        else:
            report = index_shards(args.out, extensions=extensions)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        return failed(error)
    except KeyboardInterrupt:
        print('interrupted: the same command resumes', file=sys.stderr)
        return 130
    for name, reason in report.bad[:10]:
        print(f'empty in its shard: {printable(name)}: {printable(reason)}', file=sys.stderr)
    if report.bad:
        print(f'{len(report.bad)} images cannot be read', file=sys.stderr)
    written = f', {report.made} written now' if args.command == 'make' else ''
    print(
        f'{report.images} images in {report.shards} shards ({report.size / 1e9:.3g} GB)'
        f'{written}, {time.monotonic() - start:.1f} s'
    )
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
