"""Files that a checkpoint reader meets: hostile, damaged, and none at all."""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Payload:
    """Unpickling it creates a folder: what a hostile checkpoint would do, made visible."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def write_run(path: Path, iteration: int, **more: Any) -> Path:
    """What a run can be resumed from, as far as a look at it can tell."""
    weights = {'backbone.weight': torch.full((300,), float(iteration))}
    content = dict(meta=dict(iter=iteration), state_dict=weights, optimizer={}, message_hub={})
    torch.save({**content, **more}, path)
    return path


def _zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        entry = tarfile.TarInfo('model.bin')
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b'abc'))
    return buffer.getvalue()


def _array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


def _script() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


#: Name -> content and what the message must say.
FOREIGN: dict[str, tuple[Any, str]] = {
    'empty': (b'', 'an empty file'),
    'lfs': (
        b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 86728949\n',
        'Git LFS pointer.*git lfs pull',
    ),
    'annex': (b'/annex/objects/SHA256E-s1--ab.pth\n', 'git-annex pointer'),
    'html': (b'<!DOCTYPE html><html><title>Sign in</title></html>', r"a web page \('Sign in'\)"),
    'page': (b'\n<html><body>404</body></html>', 'a web page'),
    'xml': (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', 'an XML text'),
    'json': (b'{"message": "Not Found"}', r'a JSON text.*Not Found'),
    'text': ('wähle eine Datei\n'.encode() * 900, 'a text file'),
    'utf16': ('a note'.encode('utf-16'), 'a text file'),
    'png': (b'\x89PNG\r\n\x1a\n' + bytes(range(99)), 'a PNG image'),
    'jpeg': (b'\xff\xd8\xff\xe0' + bytes(range(99)), 'a JPEG image'),
    'gzip': (gzip.compress(b'weights'), 'a gzip archive: unpack'),
    'tar': (_tar, 'a tar archive: unpack'),
    'zip': (lambda: _zipped(**{'weights/model.pth': b'x'}), r'zip archive with weights/model\.pth'),
    'npz': (lambda: _zipped(**{'a.npy': b'x'}), 'npz'),
    'npy': (_array, 'an array of NumPy'),
    'zeros': (bytes(5000), 'zero bytes'),
    'pickle': (b'\x80\x04}\x94.', 'a Python pickle'),
    'hdf5': (b'\x89HDF\r\n\x1a\n' + bytes(99), 'an HDF5 file'),
    'script': (_script, 'a TorchScript program'),
    'noise': (bytes(np.random.default_rng(3).integers(128, 256, 5000, 'uint8')), 'unknown kind'),
}


def foreign(name: str) -> tuple[bytes, str]:
    """Content and message of an entry of :data:`FOREIGN`."""
    content, message = FOREIGN[name]
    return (content() if callable(content) else content), message
