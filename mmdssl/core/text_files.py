"""Text and json files that users bring: any Unicode encoding that says what it is, clear errors.

Windows programs put a byte-order mark before UTF-8 or write UTF-16; both are read. Anything that
is no text of these, no json, or another thing altogether under this name (a web page, a pointer of
Git LFS, an archive) is told in one sentence.
"""

import codecs
import gc
import json
import os
import stat
from pathlib import Path
from typing import Any

from mmdssl.core.file_kind import known_kind, web_page
from mmdssl.core.wording import printable

__all__ = ['read_json', 'read_text', 'what_it_is']

# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8, or with a byte-order mark in UTF-16 or UTF-32.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: It is no regular file, in another encoding, or too large for the memory.
    """
    return _decoded(path, _content(path), '')


def read_json(path: str | Path) -> Any:
    """The content of a json file in any encoding that json allows.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: It is no json, or nested too deeply or too large to be read.
    """
    data = _content(path)
    shown = printable(os.fspath(path))
    other = what_it_is(data)
    if other:
        raise ValueError(f'{shown} is not valid json: it is {other}')
    if not data.strip():
        raise ValueError(f'{shown} is not valid json: it is empty; download or export it again')
    # Millions of new lists and no garbage among them: the collector's rounds take a third of the
    # time of parsing COCO's file.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return json.loads(_decoded(path, data, json.detect_encoding(data)))
    except json.JSONDecodeError as error:
        raise ValueError(
            f'{shown} is not valid json ({error}): download or export it again'
        ) from error
    except RecursionError as error:
        raise ValueError(
            f'{shown} is not usable json (lists within lists without end): export it again'
        ) from error
    except MemoryError as error:
        raise ValueError(f'{shown} does not fit into the memory: split it') from error
    except ValueError as error:  # a number of thousands of digits; the wrong encoding
        if shown in str(error):
            raise
        raise ValueError(f'{shown} is not usable json ({error}): export it again') from error
    finally:
        if collecting:
            gc.enable()


def what_it_is(data: bytes) -> str:
    """What a file is that should be text, and what to do; '' if nothing speaks against it."""
    head = data[:512]
    return known_kind(head) or web_page(head.decode('utf-8', 'replace')) or ''


def _content(path: str | Path) -> bytes:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(
            f'{printable(os.fspath(path))} is a folder or no regular file: name a file'
        )
    try:
        return Path(path).read_bytes()
    except MemoryError as error:
        raise ValueError(f'{printable(os.fspath(path))} does not fit into the memory') from error


def _decoded(path: str | Path, data: bytes, encoding: str) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), encoding or 'utf-8')
    try:
        # json allows lone surrogates in escapes, not in its bytes.
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{printable(os.fspath(path))} is not {error.encoding.upper()} (byte '
            f'0x{data[error.start]:02x} at place {error.start}): save it as UTF-8'
        ) from error
