"""Translate checkpoints between naming schemes.

    python tools/convert.py import FILE OUT --from ibot

`import` reads a training checkpoint of the official iBOT / iBOT-D code and writes one that
`load_from` of our configs and `tools/test.py` read: student, teacher, head and centres.
"""

import argparse
import sys
from pathlib import Path

from mmdssl.engine.checkpointing import atomic_save, load_checkpoint_file
from mmdssl.models.utils.official_names import ibot_from_official


def import_ibot(source: Path, target: Path) -> dict[str, int]:
    """Write the official checkpoint ``source`` under our names to ``target``.

    Returns:
        Number of tensors by part of the model.
    """
    # Official files hold the command line as an argparse.Namespace: plain data, safe to allow.
    content = load_checkpoint_file(source, allow=(argparse.Namespace,))
    state = ibot_from_official(content)
    atomic_save(dict(state_dict=state, meta=dict(epoch=content.get('epoch', 0))), target)
    counts: dict[str, int] = {}
    for name in state:
        part = '.'.join(name.split('.')[: 2 if name.startswith('teacher.') else 1])
        counts[part] = counts.get(part, 0) + 1
    return counts


def main(argv: list[str] | None = None) -> int:
    """The command line; 0, or 2 with one sentence on unusable input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    reader = commands.add_parser('import', help='official names -> ours')
    reader.add_argument('file', type=Path)
    reader.add_argument('out', type=Path)
    reader.add_argument('--from', dest='scheme', choices=('ibot',), required=True)
    args = parser.parse_args(argv)
    try:
        counts = import_ibot(args.file, args.out)
    except (ValueError, FileNotFoundError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for part, count in counts.items():
        print(f'{part}: {count} tensors')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
