"""What comes beside the modules of the package, in a checkout or a wheel; a config by name."""

import difflib
from pathlib import Path

__all__ = ['find_config', 'shipped']


def shipped(folder: str) -> Path:
    """A folder such as ``configs``: beside the package in a checkout, ``.mim`` in a wheel."""
    package = Path(__file__).resolve().parents[1]
    carried = package / '.mim' / folder
    return carried if carried.is_dir() else package.parent / folder


def find_config(name: str | Path) -> Path:
    """The file of a config.

    Args:
        name: A file, or one of the shipped configs: its path from ``configs`` on, or the name of
            its file alone, with or without ``.py``.

    Raises:
        FileNotFoundError: If it is neither; names that are near are named.
    """
    path = Path(name)
    if path.is_file():
        return path
    folder, wanted = shipped('configs'), Path(f'{str(name).removesuffix(".py")}.py')
    named = {file.name: file for file in folder.rglob('*.py') if '_base_' not in file.parts}
    if str(wanted) in named:
        return named[wanted.name]
    below = folder.joinpath(*wanted.parts[wanted.parts[0] == 'configs' :])
    if below.is_file():
        return below
    near = difflib.get_close_matches(wanted.name, named, 3)
    hint = f' (near it: {", ".join(near)})' if near else ''
    raise FileNotFoundError(f'no config file {name}, here or among those of mmdssl{hint}')
