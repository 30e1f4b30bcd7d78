"""Checkpoints in and out: translate names, report coverage, publish.

    python tools/convert.py export CKPT --to mmdet [--what teacher] [--c4] [--out FILE]
    python tools/convert.py import FILE [--from ibot] [--out FILE]
    python tools/convert.py publish CKPT FOLDER

`export` writes the backbone of a run for mmdet, mmseg, mmpretrain, timm, torchvision, transformers
(hf), or under the names of DINOv2 and DINOv3. `import` reads files of these, and of the official
iBOT, DINO, DenseCL, MoCo and SoCo code; without --from it tells them by their names. `publish`
strips what only the run itself needs and puts a hash into the name. Files are `.pth` with plain
tensors (dict(meta, state_dict)) or `.safetensors`, as `--out` ends; no code of a
file is executed (`.pth` is read with torch's `weights_only`).
Exit status: 0, 1 if coverage is short (nothing is written then), 2 for unusable input.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from mmdssl.conversion.convert import Converted, export_backbone, import_weights
from mmdssl.conversion.coverage import as_table
from mmdssl.conversion.files import check_target, write_weights
from mmdssl.conversion.formats import FORMATS
from mmdssl.conversion.publish import publish
from mmdssl.engine.command_line import CommandLine
from mmdssl.engine.plain_errors import says_what_happened


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{text} is not a share from 0 to 1')
    return value


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    both = CommandLine(add_help=False)
    both.add_argument('file', type=Path)
    both.add_argument('--out', type=Path, help='.pth or .safetensors; default: beside the input')
    networks = ('auto', 'teacher', 'student')

    writer = commands.add_parser('export', parents=[both], help='a backbone of ours for others')
    targets = [name for name, form in FORMATS.items() if form.prefix is not None]
    writer.add_argument('--to', choices=targets, required=True)
    writer.add_argument('--what', choices=networks, default='auto', help='auto: the one to keep')
    writer.add_argument('--c4', action='store_true', help='layer4 to the shared head of mmdet')
    writer.add_argument(
        '--img-size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='resample the position table of a ViT for such images, by the rule of pre-training',
    )
    writer.add_argument('--min-coverage', type=_share, default=1.0, help='least share (1.0)')

    reader = commands.add_parser('import', parents=[both], help='files of others to our names')
    reader.add_argument(
        '--from', dest='source', choices=list(FORMATS), help='default: told by its names'
    )
    reader.add_argument('--min-coverage', type=_share, default=0.95, help='least share (0.95)')

    publisher = commands.add_parser('publish', help='strip a checkpoint and name it by its hash')
    publisher.add_argument('file', type=Path)
    publisher.add_argument('folder', type=Path)
    publisher.add_argument(
        '--keep', choices=('all', *networks), default='all', help='networks to keep (all)'
    )
    return parser.parse_args(argv)


def _convert(args: argparse.Namespace) -> tuple[Converted, Path]:
    if args.command == 'export':
        ending = '.safetensors' if args.to in ('timm', 'hf') else '.pth'
        out = args.out or args.file.with_name(f'{args.file.stem}_{args.what}-{args.to}{ending}')
        check_target(out, args.file)
        size = tuple(args.img_size) if args.img_size else None
        return export_backbone(
            args.file, to=args.to, what=args.what, c4=args.c4, image_size=size
        ), out
    kind = f'from-{args.source}' if args.source else 'imported'
    out = args.out or args.file.with_name(f'{args.file.stem}_{kind}.pth')
    check_target(out, args.file)
    return import_weights(args.file, source=args.source), out


def main(argv: list[str] | None = None) -> int:
    """The command line; see the exit status above."""
    args = parse_arguments(argv)
    try:
        if args.command == 'publish':
            print(f'wrote {publish(args.file, args.folder, keep=args.keep)}')
            return 0
        result, out = _convert(args)
        Console(width=None if sys.stdout.isatty() else 120).print(
            as_table(result.reports, f'{args.file.name} -> {out.name}')
        )
        if result.coverage < args.min_coverage:
            reports = '; '.join(str(report) for report in result.reports)
            print(
                f'error: {args.file} covers too little, at least {args.min_coverage:.0%} is '
                f'needed: {reports}; nothing was written',
                file=sys.stderr,
            )
            return 1
        if result.faults:
            print(
                f'error: {args.file} is not a network of this package: {"; ".join(result.faults)}; '
                'nothing was written',
                file=sys.stderr,
            )
            return 1
        write_weights(result.state, result.meta, out)
    except (ValueError, OSError) as error:
        print(f'error: {says_what_happened(error)}', file=sys.stderr)
        return 2
    for note in result.notes:
        print(note)
    print(f'wrote {out}: {len(result.state)} tensors')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
