"""Choose OpenImage-MINI: images of Open Images with no more of COCO's objects than COCO has.

    mmdssl openimages oidv6-train-annotations-bbox.csv \\
        class-descriptions-boxable.csv instances_train2017.json data/openimages_mini.txt

The list has a line ``train/<image id>`` per image, as Open Images' own download script takes it.
Once the images are there, the same command with ``--image-dir FOLDER --link data/openimages_mini``
adds a folder of links that a config can use: ``data_root=data/openimages_mini`` of an ImageFolder.
Beside the list, ``<list>.json`` says what came out next to the published numbers. The authors'
list is not public: this is a set by their rule (D3SSL, Sec. 5.1), not theirs.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mmdssl.cli.arguments import failed
from mmdssl.core.text_files import read_json
from mmdssl.engine.command_line import CommandLine


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('boxes', type=Path, help='box file of Open Images V4 or later (csv)')
    parser.add_argument('classes', type=Path, help='class-descriptions-boxable.csv')
    parser.add_argument('coco', type=Path, help='instances_train2017.json')
    parser.add_argument('out', type=Path, help='list of images to write')
    parser.add_argument('--seed', type=int, default=0, help='order in which images are tried (0)')
    parser.add_argument(
        '--no-groups',
        action='store_true',
        help='count neither boxes around groups (IsGroupOf) nor crowds of COCO',
    )
    parser.add_argument(
        '--shared-classes',
        type=Path,
        metavar='JSON',
        help='{"COCO name": ["Open Images name", ...]}, added to the built-in table',
    )
    parser.add_argument(
        '--prefix', default='train/', help="in front of each image id in the list ('train/')"
    )
    parser.add_argument(
        '--no-prefix', dest='prefix', action='store_const', const='', help='image ids alone'
    )
    parser.add_argument('--image-dir', type=Path, help='folder with the images of Open Images')
    parser.add_argument('--link', type=Path, metavar='FOLDER', help='make links to them there')
    options = parser.parse_args(argv)
    if (options.image_dir is None) != (options.link is None):
        parser.error('--image-dir and --link go together: where the images are, where links go')
    return options


def make(options: argparse.Namespace) -> dict[str, Any]:
    """Choose the images and write the list and the report beside it.

    Args:
        options: The command line.

    Returns:
        The report; ``not_linked`` holds ids without an image file where links were asked for.
    """
    import numpy as np

    from mmdssl.core.checkpointing import atomic_text
    from mmdssl.datasets.openimages_boxes import count_boxes, read_class_names
    from mmdssl.datasets.openimages_mini import (
        SHARED_CLASSES,
        coco_class_counts,
        describe,
        link_images,
        match_classes,
        select_images,
    )

    groups = not options.no_groups
    names = read_class_names(options.classes)
    coco = coco_class_counts(options.coco, groups=groups)
    openimages = list(names.values())
    table = {**SHARED_CLASSES, **_table(options.shared_classes)}
    shared = match_classes(list(coco), openimages, table)
    labels = {label: index for index, label in enumerate(names)}
    counts = count_boxes(options.boxes, labels, groups=groups)
    chosen = select_images(counts, shared, np.array(list(coco.values())), seed=options.seed)
    report = describe(counts, chosen, openimages, shared, coco)
    report['settings'] = dict(
        boxes=options.boxes.name,
        coco=options.coco.name,
        seed=options.seed,
        groups=groups,
    )
    ids = [name.decode() for name in counts.ids[chosen]]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_text(''.join(f'{options.prefix}{name}\n' for name in ids), options.out)
    if options.link is not None:
        report['linked'], report['not_linked'] = link_images(ids, options.image_dir, options.link)
    atomic_text(json.dumps(report, indent=2) + '\n', _report_path(options.out))
    return report


def summary(report: dict[str, Any]) -> str:
    """The report as a small table."""
    lines = [f'{"":22}{"this choice":>12}{"published":>12}']
    for name, published in report['published'].items():
        if name != 'source':
            lines.append(f'{name.replace("_", " "):22}{report[name]:>12}{published:>12}')
    absent = report['coco_classes_not_shared']
    if absent:
        lines.append(f'classes of COCO not found in Open Images: {", ".join(absent)}')
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0, 1 where chosen images are missing on disk, 2 where it cannot be done."""
    options = parse_arguments(argv)
    try:
        report = make(options)
    except (ValueError, OSError) as error:
        return failed(error)
    print(f'{summary(report)}\nwrote {options.out} and {_report_path(options.out)}')
    missing = report.get('not_linked', [])
    if missing:
        print(
            f'error: {len(missing)} of {report["images"]} chosen images are not in '
            f'{options.image_dir}, e.g. {missing[0]}: download those of {options.out} and run the '
            'same command again',
            file=sys.stderr,
        )
        return 1
    return 0


def _report_path(out: Path) -> Path:
    return out.with_name(out.name + '.json')


def _table(path: Path | None) -> dict[str, list[str]]:
    """Names of shared classes from a file."""
    if path is None:
        return {}
    content = read_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in content.values()
    ):
        raise ValueError(f'{path} must be of the form {{"COCO name": ["Open Images name", ...]}}')
    return content
