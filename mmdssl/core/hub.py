"""Checkpoints of the Hugging Face hub: ``hf://ORG/NAME``, wherever a checkpoint is named.

What comes from there is read like any other file: plain data, no code. A folder may stand in place
of the hub, on a cluster without a way out: with ``MMDSSL_HUB_FOLDER=/mirror`` in the environment
``hf://ORG/NAME`` is ``/mirror/ORG/NAME``, to read from and to publish to.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

__all__ = [
    'HubFile',
    'check_name',
    'check_reachable',
    'hub_file',
    'is_there',
    'local_file',
    'upload',
]

_FOLDER = 'MMDSSL_HUB_FOLDER'
_USUAL = 'model.safetensors'
_ENDINGS = ('.safetensors', '.pth', '.pt')
# A Path has one slash where the address has two.
_ADDRESS = re.compile(r'hf:/{1,2}')
_NAME = r'[\w.-]+'
_WHOLE = re.compile(rf'({_NAME}/{_NAME})(?:@([^/]+))?(?:/(.+))?')


class HubFile(NamedTuple):
    """What an address means: a repository, a branch, tag or commit of it, a file in it."""

    repository: str
    revision: str | None = None
    file: str | None = None

    @property
    def name(self) -> str:
        """Of the repository, without its owner."""
        return self.repository.partition('/')[2]


def hub_file(place: str | Path) -> HubFile | None:
    """What an address of the hub means; None for the path of a file.

    Args:
        place: ``hf://ORG/NAME``, ``hf://ORG/NAME/file.pth``, ``hf://ORG/NAME@v1.0/file.pth``.

    Raises:
        ValueError: It begins as an address and is none.
    """
    text = os.fspath(place)
    begun = _ADDRESS.match(text)
    if begun is None:
        return None
    found = _WHOLE.fullmatch(text[begun.end() :])
    if found is None or '..' in (found[3] or '').split('/'):
        raise ValueError(f'{place} is no address of the hub: give hf://ORG/NAME or .../FILE')
    return HubFile(*found.groups())


def local_file(place: str | Path) -> Path:
    """A path as it is, or the local copy of a file of the hub, fetched where it is not there yet.

    Args:
        place: A path, or an address; without a file the repository's weights are meant:
            ``model.safetensors``, or the only file of weights.

    Raises:
        FileNotFoundError: The repository has no such file, or several and none is named.
        ModuleNotFoundError: huggingface_hub is not installed.
        OSError: The hub does not give it.
        ValueError: The address is none.
    """
    wanted = hub_file(place)
    if wanted is None:
        return Path(place).expanduser()
    repository, revision, file = wanted
    mirror = _mirror()
    if mirror is not None:
        folder = mirror / repository
        if not folder.is_dir():
            raise FileNotFoundError(f'hf://{repository}: {_FOLDER}={mirror} has no such folder')
        file = file or _weights(wanted, [one.name for one in folder.iterdir()])
        if not (folder / file).is_file():
            raise FileNotFoundError(f'hf://{repository} has no file {file}')
        return folder / file
    hub = _library()
    with _in_a_sentence(f'hf://{repository}'):
        if file is None:
            names = hub.HfApi().list_repo_files(repository, revision=revision)
            file = _weights(wanted, names)
        return Path(hub.hf_hub_download(repository, file, revision=revision))


def is_there(place: str | Path) -> bool:
    """Whether a path is a file; of an address, which is asked for later, that it is one."""
    return hub_file(place) is not None or Path(place).expanduser().is_file()


def upload(folder: Path, repository: str, *, private: bool = False, message: str) -> str:
    """Put the files of a folder into a repository, made where there is none.

    Args:
        folder: The files.
        repository: ``ORG/NAME``.
        private: Whether a new repository is for its owner alone.
        message: What the change is.

    Returns:
        Where they are now.

    Raises:
        ModuleNotFoundError: huggingface_hub is not installed.
        OSError: The hub does not take them, e.g. without a token.
        ValueError: ``repository`` is no such name.
    """
    check_name(repository)
    mirror = _mirror()
    if mirror is not None:
        target = mirror / repository
        shutil.copytree(folder, target, dirs_exist_ok=True)
        return str(target)
    api = _library().HfApi()
    with _in_a_sentence(f'hf://{repository}'):
        api.create_repo(repository, private=private, exist_ok=True)
        found = api.upload_folder(
            repo_id=repository, folder_path=str(folder), commit_message=message
        )
    return str(getattr(found, 'commit_url', found))


def check_name(repository: str) -> None:
    """Refuse what is no name of a repository.

    Raises:
        ValueError: It is none.
    """
    if not re.fullmatch(rf'{_NAME}/{_NAME}', repository):
        raise ValueError(f'{repository!r} is no repository of the hub: give ORG/NAME')


def check_reachable() -> None:
    """Say what is missing before any work is done.

    Raises:
        ModuleNotFoundError: huggingface_hub is not installed, and no folder stands in its place.
    """
    if _mirror() is None:
        _library()


def _mirror() -> Path | None:
    text = os.environ.get(_FOLDER)
    return Path(text).expanduser() if text else None


def _library():  # type: ignore[no-untyped-def]  # a module that may be absent
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'hf:// needs huggingface_hub, which is not installed: pip install huggingface_hub, or '
            f'name a folder in its place, {_FOLDER}=FOLDER',
            name='huggingface_hub',
        ) from None
    return huggingface_hub


def _weights(wanted: HubFile, names: Sequence[str]) -> str:
    """The file that a repository is named for."""
    found = sorted(name for name in names if name.endswith(_ENDINGS) and '/' not in name)
    if _USUAL in found:
        return _USUAL
    if len(found) != 1:
        listed = ', '.join(found[:5]) or 'none'
        raise FileNotFoundError(
            f'hf://{wanted.repository} has {len(found)} files of weights ({listed}): name one, '
            f'hf://{wanted.repository}/FILE'
        )
    return found[0]


@contextmanager
def _in_a_sentence(place: str) -> Iterator[None]:
    """The hub's errors, which are many and long, as one line."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = ' '.join(lines[:3])[:300] or type(error).__name__
        raise OSError(f'{place}: the hub answers: {said}') from error
