"""Where two crops of an image show the same, from what the view transforms say of them.

``crop_box`` is what a view shows, x1 y1 x2 y2 in pixels of the image (edges, not inclusive), and
``flip`` whether it is mirrored, horizontally and vertically.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ['common_part', 'crops_of']


def crops_of(
    inputs: dict, views: int, owner: str
) -> tuple[list[Float[Tensor, 'n 4']], list[Bool[Tensor, 'n 2']]]:
    """``crop_box`` and ``flip`` of the first views of a batch.

    Args:
        inputs: The batch.
        views: How many are needed.
        owner: The method, first word of the sentence.

    Raises:
        ValueError: If they, or views, are missing.
    """
    for key in ('views', 'crop_box', 'flip'):
        have = len(inputs.get(key) or ())
        if have < views:
            raise ValueError(
                f'{owner}: the batch needs {key!r} of {views} views and has {have}; make as many '
                "and pack them: PackViews(keys=('crop_box', 'flip'))"
            )
    return list(inputs['crop_box'][:views]), [flip.bool() for flip in inputs['flip'][:views]]


def common_part(
    crop: Float[Tensor, 'n 4'], other: Float[Tensor, 'n 4'], flip: Bool[Tensor, 'n 2']
) -> tuple[Float[Tensor, 'n 4'], Bool[Tensor, ' n']]:
    """What a view shares with another one, in shares of the view.

    Args:
        crop: (N, 4) of the view.
        other: (N, 4) of the other view, which may be mirrored or not.
        flip: (N, 2) bool of the view.

    Returns:
        (N, 4) x1 y1 x2 y2 in [0, 1] of the view as it is shown, and (N,) bool, whether they share
        anything; the whole view, (0, 0, 1, 1), where they do not.
    """
    start, size = crop[:, :2], crop[:, 2:] - crop[:, :2]
    near = (torch.maximum(start, other[:, :2]) - start) / size
    far = (torch.minimum(crop[:, 2:], other[:, 2:]) - start) / size
    meets = (near < far).all(dim=1)
    near = torch.where(meets[:, None], near, 0.0)
    far = torch.where(meets[:, None], far, 1.0)
    near, far = torch.where(flip, 1 - far, near), torch.where(flip, 1 - near, far)
    return torch.cat((near, far), dim=1), meets
