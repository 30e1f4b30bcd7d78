"""A folder of small pictures with every name that shards might trip over."""

import os
from pathlib import Path

from tests.datasets.image_files import save
from tests.datasets.proposals.photos import photo

#: In the order of `ImageFolder`; the fifth is cut short, the last ends in a byte that is not UTF-8.
NAMES = (
    b'a-b.jpg',
    b'a.jpg',
    b'a.jpg.png',
    b'a.png',
    b'broken.jpg',
    b'deep.er/' + b'long' * 30 + b'.v2.jpg',
    b'deep.er/x.y.z.png',
    b'sub/50%25.png',
    b'sub/50%2E.png',
    b'sub/caf\xe9.jpg',
)


def odd_folder(root: Path) -> Path:
    """The folder, each picture its own."""
    for number, name in enumerate(NAMES):
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = save(photo(number, 48, 64), 'PNG' if name.endswith(b'png') else 'JPEG')
        path.write_bytes(data[: len(data) // 2] if b'broken' in name else data)
    return root
