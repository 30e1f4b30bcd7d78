"""Names of shards, and of images within them.

WebDataset takes what stands before the first dot of a base name as the key of a sample, and members
with the same key one after another as one sample. An image is a sample of its own here: dots within
its stem are written ``%2E`` (and ``%`` itself ``%25``), and where two images of a shard differ by
their ending alone, the later one gets it behind a ``%``. All other names stay as they are, and
`image_of` gives every name back.
"""

__all__ = ['INDEX', 'SHARDLIST', 'image_of', 'member_of', 'shard_name']

#: The index by which images are found, beside the shards.
INDEX = 'shards.npz'
#: The list of shards as WebDataset's own ``wids`` reads it.
SHARDLIST = 'shards.json'


def shard_name(number: int) -> str:
    """Name of a shard's file."""
    return f'shard-{number:06d}.tar'


def member_of(name: bytes, taken: set[bytes]) -> bytes:
    """Name within its shard of an image.

    Args:
        name: Path of the image relative to its folder.
        taken: Keys of the shard so far; the image's is added.
    """
    folder, slash, base = name.rpartition(b'/')
    stem, dot, ending = base.rpartition(b'.')
    key = folder + slash + stem.replace(b'%', b'%25').replace(b'.', b'%2E')
    if key in taken:
        key += b'%' + ending
    taken.add(key)
    return key + dot + ending


def image_of(member: bytes) -> bytes:
    """Path of the image with this name in a shard."""
    folder, slash, base = member.rpartition(b'/')
    stem, dot, ending = base.rpartition(b'.')
    stem = stem.removesuffix(b'%' + ending).replace(b'%2E', b'.').replace(b'%25', b'%')
    return (folder + slash).removeprefix(b'./').lstrip(b'/') + stem + dot + ending
