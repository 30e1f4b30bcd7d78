"""The two views of a batch, for hosts that compare two."""

from jaxtyping import Float
from torch import Tensor

__all__ = ['two_views']


def two_views(inputs: dict, owner: str, names: str = '') -> list[Float[Tensor, 'n ch _ _']]:
    """The first two views of a batch; further ones are not read.

    Args:
        inputs: The batch; ``inputs['views']`` is read.
        owner: The method, first word of the sentence.
        names: What the two are called there.

    Raises:
        ValueError: If the batch has fewer.
    """
    views = inputs['views']
    if len(views) < 2:
        called = f', {names}' if names else ''
        raise ValueError(
            f'{owner} needs two views{called}; the batch has {len(views)}: make two in '
            'MultiViewWithBoxes'
        )
    return list(views[:2])
