"""Checkpoints in and out: translate names, report coverage, publish.

    mmdssl convert export CKPT --to mmdet [--source teacher] [--c4] [--out FILE]
    mmdssl convert import FILE [--from ibot] [--out FILE]
    mmdssl convert publish CKPT FOLDER
    mmdssl convert publish CKPT FOLDER --to-hub ORG/NAME --licence apache-2.0 [--measured FILE]

`export` writes the backbone of a run for mmdet, mmseg, mmpretrain, timm, torchvision, transformers
(hf), or under the names of DINOv2 and DINOv3. `import` reads files of these, and of the official
iBOT, DINO, DenseCL, MoCo and SoCo code; without --from it tells them by their names. `publish`
strips what only the run itself needs and puts a hash into the name, or makes safetensors and their
page and uploads both. CKPT may be one of the hub, hf://ORG/NAME[/FILE]. Files are `.pth` with plain
tensors (dict(meta, state_dict)) or `.safetensors`, as `--out` ends; no code of a file is executed
(`.pth` is read with torch's `weights_only`).
Exit status: 0, 1 if coverage is short (nothing is written then), 2 for unusable input.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mmdssl.cli.arguments import add_source, failed
from mmdssl.engine.command_line import CommandLine

if TYPE_CHECKING:  # imported where it is needed
    from mmdssl.conversion.convert import Converted

# What `mmdssl.conversion.formats` knows, again: --help need not wait for torch.
TARGETS = ('dinov2', 'dinov3', 'hf', 'timm', 'torchvision', 'mmpretrain', 'mmdet', 'mmseg')
ORIGINS = (*TARGETS, 'ibot', 'dino', 'densecl', 'moco', 'soco')


def _add_coverage(parser: argparse.ArgumentParser, default: float) -> None:
    def fraction(text: str) -> float:
        value = float(text)
        if not 0 <= value <= 1:
            raise argparse.ArgumentTypeError(f'{text} is not a fraction from 0 to 1')
        return value

    parser.add_argument(
        '--min-coverage',
        type=fraction,
        default=default,
        help='minimum fraction of the tensors that must match (default: %(default)s)',
    )


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    both = CommandLine(add_help=False)
    both.add_argument('file', type=Path, help='checkpoint to read')
    both.add_argument('--out', type=Path, help='.pth or .safetensors; default: beside the input')

    writer = commands.add_parser(
        'export', parents=[both], help='export a backbone to another package'
    )
    writer.add_argument('--to', choices=TARGETS, required=True, help='whose names it gets')
    add_source(writer)
    writer.add_argument('--c4', action='store_true', help='layer4 to the shared head of mmdet')
    writer.add_argument(
        '--img-size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='resample the position table of a ViT for such images, by the rule of pre-training',
    )
    _add_coverage(writer, 1.0)

    reader = commands.add_parser('import', parents=[both], help='import a file of another package')
    reader.add_argument(
        '--from',
        dest='origin',
        choices=ORIGINS,
        help='whose names it has (default: told by them)',
    )
    _add_coverage(reader, 0.95)

    publisher = commands.add_parser('publish', help='strip a checkpoint and name it by its hash')
    publisher.add_argument('file', type=Path, help='checkpoint of a run')
    publisher.add_argument('folder', type=Path, help='where the files go')
    publisher.add_argument(
        '--keep',
        choices=('all', 'auto', 'teacher', 'student'),
        default='all',
        help='networks to keep (default: all)',
    )
    hub = publisher.add_argument_group('the Hugging Face hub')
    hub.add_argument('--to-hub', metavar='ORG/NAME', help='upload safetensors and their page')
    hub.add_argument('--licence', help="of the weights, which are yours; the hub's word for it")
    hub.add_argument('--measured', type=Path, help='numbers for the page, of mmdssl test --out')
    hub.add_argument('--private', action='store_true', help='a new repository is yours alone')
    args = parser.parse_args(argv)
    if args.command == 'publish' and args.to_hub and not args.licence:
        parser.error(
            '--to-hub needs --licence: the weights are yours, say what others may do with them, '
            'e.g. --licence apache-2.0'
        )
    if args.command == 'publish' and not args.to_hub:
        given = [name for name in ('licence', 'measured', 'private') if getattr(args, name)]
        if given:
            parser.error(f'--{given[0]} is for --to-hub')
    return args


def _beside(file: Path, ending: str) -> Path:
    """A name beside the input; of a file of the hub, in this folder."""
    from mmdssl.core.hub import hub_file

    address = hub_file(file)
    return Path(f'{address.name}_{ending}') if address else file.with_name(f'{file.stem}_{ending}')


def _publish(args: argparse.Namespace) -> str:
    """Publish into a folder or onto the hub; where it is now."""
    from mmdssl.conversion.hub_card import read_measured
    from mmdssl.conversion.publish import publish, publish_to_hub

    if not args.to_hub:
        return str(publish(args.file, args.folder, keep=args.keep))
    return publish_to_hub(
        args.file,
        args.folder,
        args.to_hub,
        licence=args.licence,
        measured=read_measured(args.measured) if args.measured else None,
        keep=args.keep,
        private=args.private,
    )


def _convert(args: argparse.Namespace) -> 'tuple[Converted, Path]':
    from mmdssl.conversion.convert import export_backbone, import_weights
    from mmdssl.conversion.files import check_target

    if args.command == 'export':
        ending = '.safetensors' if args.to in ('timm', 'hf') else '.pth'
        out = args.out or _beside(args.file, f'{args.source}-{args.to}{ending}')
        check_target(out, args.file)
        size = tuple(args.img_size) if args.img_size else None
        return export_backbone(
            args.file, to=args.to, what=args.source, c4=args.c4, image_size=size
        ), out
    kind = f'from-{args.origin}' if args.origin else 'imported'
    out = args.out or _beside(args.file, f'{kind}.pth')
    check_target(out, args.file)
    return import_weights(args.file, source=args.origin), out


def main(argv: list[str] | None = None) -> int:
    """The command line; see the exit status above."""
    args = parse_arguments(argv)
    from rich.console import Console

    from mmdssl.conversion.coverage import as_table
    from mmdssl.conversion.files import write_weights

    try:
        if args.command == 'publish':
            print(f'wrote {_publish(args)}')
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
    except (ValueError, OSError, ModuleNotFoundError) as error:
        return failed(error)
    for note in result.notes:
        print(note)
    print(f'wrote {out}: {len(result.state)} tensors')
    return 0
