"""The shapes that annotations state are checked in every call of the tests, by beartype.

For users they are annotations: nothing is wrapped, nothing is paid. Processes that a test starts
anew check nothing either.
"""

from collections.abc import Callable

from beartype import beartype
from jaxtyping import install_import_hook

__all__ = ['check', 'check_shapes']

#: What is annotated, and checked from its import on.
PACKAGES = (
    'mmdssl.models.losses',
    'mmdssl.models.heads',
    'mmdssl.models.branches',
    'mmdssl.models.decoupled_views',
    'mmdssl.models.view_selection',
    'mmdssl.models.foreground',
    'mmdssl.models.chosen_cells',
    'mmdssl.models.correspondence',
    'mmdssl.evaluation',
)


def check(function: Callable) -> Callable:
    """The function with its arrays checked; what is no array is mypy's business."""
    function.__annotations__ = {
        name: stated
        for name, stated in function.__annotations__.items()
        if any(array in repr(stated) for array in ('Tensor', 'ndarray'))
    }
    return beartype(function)


def check_shapes() -> None:
    """Before anything of the packages is imported."""
    install_import_hook(PACKAGES, f'{__name__}.check')
