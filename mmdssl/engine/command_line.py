"""Command lines on which what is typed is what arrives.

mmengine's ``DictAction`` turns every ``--cfg-options KEY=VALUE`` into the number, list or text that
the characters look like, before anybody knows what the key holds: spaces vanish, ``007`` becomes 7,
a folder ``a,b`` two folders. Here the characters are kept (`OptionsAction`), and the config says
what they mean (:func:`mmdssl.engine.options.read_options`). An option that is empty, as a variable
that is not set leaves it, is a mistake in every command (`CommandLine`): an empty path would
mean another folder.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ['CommandLine', 'OptionsAction', 'Typed', 'named_file']


class Typed(str):
    """The characters of an option whose kind is not known yet."""

    __slots__ = ()


class CommandLine(argparse.ArgumentParser):
    """A parser that refuses empty arguments."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """As argparse's, after a look at every argument."""
        given = sys.argv[1:] if args is None else list(args)
        option = 'an argument'
        for text in given:
            if text.startswith('--'):
                option, equals, value = text.partition('=')
                empty = bool(equals) and not value.strip()
            else:
                empty = not text.strip()
            if empty:
                self.error(
                    f'{option} is empty: is a variable not set? (leave an option out for its '
                    'default)'
                )
        return super().parse_known_args(given, namespace)


class OptionsAction(argparse.Action):
    """Collects ``KEY=VALUE`` arguments as a dict from keys to :class:`Typed` characters."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add the pairs of one option to those of earlier ones."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for entry in values:
            key, equals, value = entry.partition('=')
            if not equals or not key.strip():
                parser.error(
                    f'{option_string}: {entry!r} is not KEY=VALUE; a value with spaces needs '
                    f'quotes around the whole, as in "data_root=my photos"'
                )
            if not value.strip():
                parser.error(
                    f'{option_string}: {key} is empty: is a variable not set? (an empty text is '
                    f'{key}=\'""\', no value {key}=None)'
                )
            options[key.strip()] = Typed(value)
        setattr(namespace, self.dest, options)


def named_file(text: str) -> tuple[str, str]:
    """Name and file of an argument ``[NAME=]FILE``; files may hold ``=``, names no ``/``.

    Raises:
        ValueError: If the name or the file is empty.
    """
    name, equals, place = text.partition('=')
    if not equals or '/' in name or Path(text).is_file():
        return Path(text).stem, text
    if not name.strip() or not place.strip():
        raise ValueError(f'{text!r} is not NAME=FILE: is a variable not set?')
    return name, place
