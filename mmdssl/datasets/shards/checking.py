"""Are the shards whole? Every one is read through and compared with the index, image by image."""

import os
import tarfile
from pathlib import Path

from mmdssl.core.wording import listed, printable
from mmdssl.datasets.proposals.progress import show_progress
from mmdssl.datasets.shards.files import ShardFiles, shard_files
from mmdssl.datasets.shards.index import Member, Record, ShardIndex, members

__all__ = ['check_shards']

_SHOWN = 3


def check_shards(root: str | Path, *, progress: bool = True) -> tuple[ShardIndex, list[str]]:
    """Compare shards with their index.

    Args:
        root: A folder of shards, or a place that fsspec reads.
        progress: Show a progress bar.

    Returns:
        The index, and a sentence for each shard that is missing, cut short, damaged, lacks an
        image or has one that the index does not know; none where all is well.

    Raises:
        FileNotFoundError: There is no index.
        ValueError: The index is damaged.
    """
    files = shard_files(root, cache=False)
    index = ShardIndex.open(files)
    shards = show_progress(
        index.records(), 'checking', len(index.shards), unit='shards', shown=progress
    )
    return index, [sentence for record in shards if (sentence := _fault(files, record))]


def _fault(files: ShardFiles, record: Record) -> str | None:
    """What is wrong with a shard."""
    shard = printable(record.shard)
    length = files.size(record.shard)
    if length is None:
        return f'{shard} is missing: copy it again'
    if length < record.length:
        return f'{shard} is cut short, {length} of {record.length} bytes: copy it again'
    # Of shards that somebody else has written, what is not in the index may be labels.
    endings = tuple({os.path.splitext(name)[1].lower() for name in record.names})
    seen: dict[bytes, Member] = {}
    broken = ''
    try:
        with files.open(record.shard) as file:
            seen.update((member.name, member) for member in members(file, endings))
    except (OSError, tarfile.TarError) as error:
        broken = str(error) or type(error).__name__
    wanted = {member.name: member for member in record.members()}
    found = [(seen[name], member) for name, member in wanted.items() if name in seen]
    changed = [now.name for now, was in found if (now.size, now.sum) != (was.size, was.sum)]
    lacking = [name for name in wanted if name not in seen]
    extra = [name for name in seen if name not in wanted]
    said = []
    if broken:
        said.append(f'breaks off ({broken})')
    elif lacking:
        said.append(f'lacks {len(lacking)} images ({_names(lacking)})')
    if changed:
        said.append(f'has {len(changed)} images with other bytes ({_names(changed)})')
    if extra:
        said.append(f'has {len(extra)} images that the index does not know ({_names(extra)})')
    if not said and any(now.place != was.place for now, was in found):
        said.append('has its images at other places')
    if not said and length != record.length:
        said.append(f'has {length} bytes, {record.length} were written')
    if not said:
        return None
    other = bool(extra) and not (broken or changed or lacking)
    remedy = 'make the index anew' if other else 'copy it again'
    return f'{shard} {" and ".join(said)}: {remedy}'


def _names(names: list[bytes]) -> str:
    return listed(map(printable, names), _SHOWN)
