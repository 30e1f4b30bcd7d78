"""A run's folder and log: can they be written, and what if not any more.

mmengine writes the whole config into the log before anything else, and Python's logging answers
every line that it cannot write with a traceback. So the folder is tried before, and a log that
fails later says so once.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path
from types import MethodType

from mmdssl.core.wording import printable

__all__ = ['check_writable', 'steady_logging']

_TRIED = 1 << 18  # bytes; config, log and curves need more than nothing


def check_writable(folder: str | Path) -> None:
    """Make a folder and try to write into it.

    Raises:
        OSError: That fails; ``filename`` names the folder.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_TRIED))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = os.fspath(folder)
        raise


def steady_logging(logger: logging.Logger) -> None:
    """Let a log take any name of a file, and complain once where it cannot be written any more."""
    for handler in logger.handlers:
        if not isinstance(handler, logging.StreamHandler):
            continue
        # Names that are no UTF-8 stand as \\xe9; pytest's streams and others cannot be changed.
        reconfigure = getattr(handler.stream, 'reconfigure', None)
        if reconfigure is not None:
            reconfigure(errors='backslashreplace')
        if isinstance(handler, logging.FileHandler):
            handler.handleError = MethodType(_complain_once, handler)  # type: ignore[method-assign]


def _complain_once(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
        logging.FileHandler.handleError(handler, record)
    elif not getattr(handler, 'complained', False):
        handler.complained = True  # type: ignore[attr-defined]
        text = f'{printable(handler.baseFilename)} cannot be written any more: {error.strerror}'
        print(text, file=sys.stderr)
