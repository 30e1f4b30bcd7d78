"""Checkpoints from the network: each under the name of its whole address, whole, and checked.

Two addresses may end alike, a server may answer with a page to log in, a connection may break.
What is kept has been read once, and where its name carries a hash, as ``resnet50-0676ba61.pth``
does, it has that SHA-256. Processes of one machine wait for the one that downloads by a lock that
the system takes back when its holder dies, and all processes of a run learn of any failure.
"""

import hashlib
import re
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import torch

from mmdssl.core.agreement import same_for_all
from mmdssl.core.checkpointing import atomic_file, remove_leftovers
from mmdssl.core.locking import FileLock
from mmdssl.core.reading import load_checkpoint_file

__all__ = ['fetch']

_HASH = re.compile(r'-([0-9a-f]{8,64})\.[A-Za-z.]+$')


def fetch(url: str, folder: str | Path | None = None) -> Path:
    """The local file of an address, downloaded where it is not there yet.

    Every process of a distributed run calls it.

    Args:
        url: ``http://`` or ``https://``.
        folder: Where files are kept; None: ``checkpoints`` in the folder of torch.hub.

    Returns:
        The file. Its name begins with a hash of the whole address.

    Raises:
        ValueError: In every process, if one of them cannot get the file, or what it got is no
            checkpoint, or not the one that the hash in the name means. Nothing is kept then.
    """
    return same_for_all(lambda: _fetch(urldefrag(url).url, folder))


def _fetch(url: str, folder: str | Path | None) -> Path:
    folder = Path(folder or Path(torch.hub.get_dir()) / 'checkpoints').expanduser()
    name = Path(unquote(urlparse(url).path)).name or 'checkpoint'
    wanted = _hash_in(name)
    # What torch.hub and mmengine have kept under the bare name is used if its hash proves it.
    bare = folder / name
    if wanted and bare.is_file() and _sha256(bare).startswith(wanted):
        return bare
    target = folder / f'{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target):
            if not target.is_file():
                _download(url, target, wanted)
    except OSError as error:
        raise ValueError(f'{url} cannot be kept in {folder} ({error.strerror or error})') from error
    return target


@contextmanager
def _one_at_a_time(target: Path) -> Iterator[None]:
    with FileLock(target.with_name(f'.{target.name}.lock'), wait=True):
        remove_leftovers(target.parent, target.name)
        yield


def _download(url: str, target: Path, wanted: str | None) -> None:
    with atomic_file(target) as temporary:
        try:
            torch.hub.download_url_to_file(url, str(temporary), progress=False)
        except Exception as error:  # of sockets, of TLS, of HTTP: they have no common class
            raise ValueError(
                f'{url} cannot be downloaded ({type(error).__name__}: {error}): check the address '
                'and the network, or download it by other means and give the file'
            ) from error
        try:
            load_checkpoint_file(temporary, allow=(Namespace,))
        except ValueError as error:
            said = str(error).replace(str(temporary), f'what {url} has sent')
            raise ValueError(f'{said} (not kept)') from error
        found = _sha256(temporary) if wanted else ''
        if wanted and not found.startswith(wanted):
            raise ValueError(
                f'what {url} has sent has the hash {found[: len(wanted)]}, not {wanted} as its '
                'name says, and is not kept: the file was changed or damaged on the way; if its '
                'maker confirms it, download it by other means and give the file'
            )


def _hash_in(name: str) -> str | None:
    """The beginning of the SHA-256 that a file name carries; a date is none."""
    found = _HASH.search(name)
    if found is None:
        return None
    digits = found.group(1)
    try:
        datetime.strptime(digits, '%Y%m%d')
    except ValueError:
        return digits
    return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
