"""Where the configs of this package lie, in a checkout or a wheel, and one by its name."""

import difflib
from pathlib import Path

__all__ = ['configs_folder', 'find_config']


def configs_folder() -> Path:
    """The folder ``configs``: beside the package in a checkout, inside it (``.mim``) in a wheel."""
    package = Path(__file__).resolve().parents[1]
    carried = package / '.mim' / 'configs'
    return carried if carried.is_dir() else package.parent / 'configs'


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
    folder, wanted = configs_folder(), Path(f'{str(name).removesuffix(".py")}.py')
    shipped = {file.name: file for file in folder.rglob('*.py') if '_base_' not in file.parts}
    if str(wanted) in shipped:
        return shipped[wanted.name]
    below = folder.joinpath(*wanted.parts[wanted.parts[0] == 'configs' :])
    if below.is_file():
        return below
    near = difflib.get_close_matches(wanted.name, shipped, 3)
    hint = f' (near it: {", ".join(near)})' if near else ''
    raise FileNotFoundError(f'no config file {name}, here or among those of mmdssl{hint}')
