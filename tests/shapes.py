"""The shapes that annotations state are checked in every call of the tests, by beartype.

For users they are annotations: nothing is wrapped, nothing is paid. Processes that a test starts
anew check nothing either.
"""

from collections.abc import Callable

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

__all__ = ['check', 'check_shapes']

#: What is annotated, and checked from its import on.
PACKAGES = ('mmdssl.models.losses', 'mmdssl.models.heads')

# A whole number is good where a float is asked for.
_SETTINGS = BeartypeConf(is_pep484_tower=True)


def check(function: Callable) -> Callable:
    """The function with its arguments and result checked."""
    return beartype(function, conf=_SETTINGS)


def check_shapes() -> None:
    """Before anything of the packages is imported."""
    install_import_hook(PACKAGES, f'{__name__}.check')
