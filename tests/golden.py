"""Reading of the golden files: everything a test needs is taken from the file itself."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Golden(Mapping):
    """A golden .npz file as torch tensors; ``sub('a/')`` is the part under a prefix."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays

    @classmethod
    def load(cls, path: Path) -> 'Golden':
        with np.load(path, allow_pickle=False) as file:
            return cls({key: file[key] for key in file.files})

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(np.array(self._arrays[key]))

    def __iter__(self):
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def number(self, key: str) -> float | int:
        """A scalar entry."""
        return self._arrays[key].item()

    def text(self, key: str) -> str:
        """A single string."""
        return str(self._arrays[key])

    def strings(self, key: str) -> list[str]:
        return [str(entry) for entry in self._arrays[key]]

    def sub(self, prefix: str) -> 'Golden':
        return Golden(
            {
                key[len(prefix) :]: value
                for key, value in self._arrays.items()
                if key.startswith(prefix)
            }
        )


def assert_close(got: Tensor, want: Tensor, tolerance: float = 1e-5, what: str = '') -> None:
    """max |got - want| <= tolerance * max |want|, the rule of the golden README."""
    assert got.shape == want.shape, f'{what}: shape {tuple(got.shape)}, want {tuple(want.shape)}'
    error = (got.double() - want.double()).abs().max().item()
    bound = tolerance * max(want.double().abs().max().item(), 1e-30)
    assert error <= bound, f'{what}: largest difference {error:.3e}, allowed {bound:.3e}'
