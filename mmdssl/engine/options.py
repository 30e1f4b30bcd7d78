"""What the characters of ``--cfg-options KEY=VALUE`` mean: the config's own value says.

* Where the config holds a text, the characters are the text, whatever they look like: folders named
  ``my photos``, ``007``, ``a,b`` or ``[2024]`` are these folders. The same holds for what names a
  file or folder (``load_from``, ``ann_file``, ...) where the config has none yet.
* Elsewhere numbers, ``True``, ``False``, ``None`` and lists are read as mmengine does: ``[1, 2]``,
  ``(1, 2)``, ``1,2``. Only what Python itself would write is a number: ``007`` is a text.
* Quotes around a value or an element say that it is a text: ``'"1,2"'``.
* ``None`` takes a value away, a text as well.
* Where neither is clear (``a,b`` for a key that the config does not have) nothing is guessed.
"""

import ast
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from inspect import signature
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmdssl.engine.command_line import Typed

__all__ = ['read_options', 'unquoted']

_MISSING = object()
_NUMBER = re.compile(r'[+-]?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+([eE][+-]?\d+)?')
# Words that stand in the place of a number or switch: what replaces them may be one.
_WORDS = ('all', 'auto', 'default', 'dynamic', 'none', 'off')
# What names files and folders.
_NAMES = ('checkpoint', 'data_prefix', 'filename', 'img', 'init', 'prefix', 'work_dir')
_ENDINGS = ('_dir', '_file', '_folder', '_from', '_name', '_path', '_prefix', '_root')
_BRACKETS = {'[': ']', '(': ')'}


def read_options(config: Config, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with the values that their characters mean in a config.

    Args:
        config: What the options will be merged into.
        options: By dotted key; what is not :class:`Typed` is a value already.

    Raises:
        ValueError: If a key leads nowhere, or a value can mean two things.
    """
    return {
        key: _value(key, str(value), _current(config, key)) if isinstance(value, Typed) else value
        for key, value in options.items()
    }


def unquoted(text: str) -> str:
    """The text without a pair of quotes around it."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in '\'"' else text


def _current(config: Config, key: str) -> Any:
    """What the config holds under a dotted key, `_MISSING` where it holds nothing.

    Raises:
        ValueError: If the key leads through something that has no such entry.
    """
    first, *others = key.split('.')
    if first not in config:
        _check_spelling(first, config)
        return _MISSING
    value: Any = config[first]
    for depth, part in enumerate(others, 1):
        if isinstance(value, Mapping):
            value = value.get(part, _MISSING)
        elif isinstance(value, (list, tuple)):
            if not part.isdigit() or int(part) >= len(value):
                place = '.'.join([first, *others][:depth])
                raise ValueError(
                    f'{key}: {place} is a list of {len(value)}, entries 0 to {len(value) - 1}: '
                    f'there is no entry {part}'
                )
            value = value[int(part)]
        elif value is _MISSING or value is None:
            return _MISSING
        else:
            place = '.'.join([first, *others][:depth])
            raise ValueError(f'{key}: {place} is {value!r}, which has no entry {part!r}')
    return value


def _check_spelling(name: str, config: Config) -> None:
    if name in signature(Runner.__init__).parameters:
        return
    near = get_close_matches(name, [str(key) for key in config], n=1, cutoff=0.85)
    if near:
        raise ValueError(f'the config has no {name}: is {near[0]} meant?')


def _value(key: str, text: str, current: Any) -> Any:
    if text == 'None':
        return None
    if isinstance(current, str | os.PathLike):
        if current not in _WORDS:
            return _list_of_texts(text) or unquoted(text)
    elif current is None or current is _MISSING:
        last = key.rpartition('.')[2]
        if last in _NAMES or last.endswith(_ENDINGS):
            return _list_of_texts(text) or unquoted(text)
    value = _parsed(key, text.strip(), current)
    if isinstance(value, str) and isinstance(current, Mapping):
        raise ValueError(
            f'{key}={text}: {key} is a group of settings in the config; set one of them '
            f'({", ".join(f"{key}.{name}" for name in list(current)[:3])}, ...), or None'
        )
    return value


def _list_of_texts(text: str) -> list[str] | None:
    """A list or tuple of quoted texts, which no file is named like; else None."""
    if not text.lstrip().startswith(('["', "['", '("', "('")):
        return None
    try:
        value = ast.literal_eval(text.strip())
    except (SyntaxError, ValueError):
        return None
    whole = isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value)
    return list(value) if whole else None


def _parsed(key: str, text: str, current: Any) -> Any:
    """A value out of its characters, where the config's value leaves room for several kinds."""
    if unquoted(text) != text:
        return unquoted(text)
    if _depths(text)[-1]:
        raise ValueError(
            f'{key}={text}: a bracket or quote is not closed (a text is meant? put quotes around '
            f'it: {key}=\'"{text}"\')'
        )
    inner = _inside(text)
    if inner is not None:
        entries = [_parsed(key, entry, _example(current)) for entry in _split(key, inner)]
        return tuple(entries) if text[0] == '(' else entries
    parts = _split(key, text) if ',' in text else [text]
    if len(parts) > 1:
        entries = [_parsed(key, entry, _example(current)) for entry in parts]
        several = isinstance(current, (list, tuple)) or any(
            unquoted(part) != part for part in parts
        )
        if not several and any(isinstance(entry, str) for entry in entries):
            quoted = ', '.join(f'"{entry}"' for entry in parts)
            raise ValueError(
                f'{key}={text} may be one text or a list: write {key}=\'"{text}"\' or '
                f"{key}='[{quoted}]'"
            )
        return entries
    example = _example(current) if isinstance(current, (list, tuple)) else current
    return _single(text, example)


def _single(text: str, example: Any) -> Any:
    if text == 'None':
        return None
    if isinstance(example, str) and example not in _WORDS:
        return text
    if text.lower() in ('true', 'false'):
        return text.lower() == 'true'
    a_number = isinstance(example, (int, float)) and not isinstance(example, bool)
    if a_number or _NUMBER.fullmatch(text):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                pass
    return text


def _example(current: Any) -> Any:
    """An element of a list, for the kind of its elements."""
    return current[0] if isinstance(current, (list, tuple)) and current else None


def _inside(text: str) -> str | None:
    """What stands between the brackets around a whole value; None if there are none."""
    if len(text) < 2 or text[0] not in _BRACKETS or text[-1] != _BRACKETS[text[0]]:
        return None
    depths = _depths(text)
    return text[1:-1] if depths[-1] == 0 and all(depth > 0 for depth in depths[:-1]) else None


def _depths(text: str) -> list[int]:
    """How many brackets are open behind each character; what is quoted opens none."""
    depths, depth, quote = [], 0, ''
    for character in text:
        if quote:
            quote = '' if character == quote else quote
        elif character in '\'"':
            quote = character
        else:
            depth += (character in '[(') - (character in '])')
        depths.append(depth + bool(quote))
    return depths


def _split(key: str, text: str) -> list[str]:
    """The elements of a list: what commas outside of brackets and quotes separate.

    Raises:
        ValueError: If one is empty.
    """
    if not text.strip():
        return []
    depths = _depths(text)
    cuts = [index for index, one in enumerate(text) if one == ',' and not depths[index]]
    begins, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(text)]
    parts = [text[a:b].strip() for a, b in zip(begins, ends, strict=True)]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()  # (1,)
    if not all(parts):
        raise ValueError(f'{key}={text}: an element of the list is empty')
    return parts
