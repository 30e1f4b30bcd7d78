"""Small files in the formats of Open Images and COCO."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

HEADER = [
    *('ImageID', 'Source', 'LabelName', 'Confidence', 'XMin', 'XMax', 'YMin', 'YMax'),
    *('IsOccluded', 'IsTruncated', 'IsGroupOf', 'IsDepiction', 'IsInside'),
]


def label_of(name: str) -> str:
    """A label such as ``/m/wine_glass``."""
    return '/m/' + name.lower().replace(' ', '_')


def write_boxes(
    path: Path,
    rows: Iterable[tuple[str, str] | tuple[str, str, int]],
    header: Sequence[str] = HEADER,
) -> Path:
    """Rows (image id, class name, is group)."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for image, name, *group in rows:
            flags = ['0', '0', str(group[0] if group else 0), '0', '0']
            writer.writerow([image, 'xclick', label_of(name), 1, 0.1, 0.5, 0.2, 0.9, *flags])
    return path


def write_classes(path: Path, names: Sequence[str], *, header: bool = False) -> Path:
    """Class descriptions; V7 has a header, earlier releases have none."""
    lines = ['LabelName,DisplayName'] if header else []
    path.write_text('\n'.join([*lines, *(f'{label_of(name)},{name}' for name in names)]) + '\n')
    return path


def write_coco_counts(path: Path, counts: Mapping[str, int], crowds: int = 0) -> Path:
    """A COCO file with so many objects of each class, the first ``crowds`` of each a crowd."""
    categories = [dict(id=7 * i + 1, name=name) for i, name in enumerate(counts)]
    annotations = [
        dict(category_id=category['id'], image_id=1, iscrowd=int(number < crowds))
        for category in categories
        for number in range(counts[category['name']])
    ]
    path.write_text(json.dumps(dict(images=[], categories=categories, annotations=annotations)))
    return path
