"""Where the cells of a view lie in its image, and which cells of two views lie close together.

A view shows a part of an image, perhaps mirrored. Its box is kept with a sign: where the view is
mirrored, x1 > x2 (y1 > y2), so that cell widths are negative and one formula serves all views.
Cells of an h x w map share the view equally; their centres stand in row-major order.

Two conventions turn crops in pixels into shares of the image: ``'edge'``, pixel edges, where a crop
of w pixels is w / W wide, and ``'pixpro'``, that of PixPro (CVPR 2021): the last pixel's index is
the right end, and each axis is divided by its length minus 1.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

__all__ = [
    'CONVENTIONS',
    'Convention',
    'boxes_of_views',
    'cell_centres',
    'cell_distances',
    'cells_at',
    'shares_in',
    'signed_boxes',
]

Convention = Literal['edge', 'pixpro']
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


def boxes_of_views(
    inputs: Mapping[str, Any], *, convention: Convention | None, owner: str
) -> list[Float[Tensor, 'n 4']]:
    """Signed boxes of the two views of a batch.

    Args:
        inputs: Entries of two views each: ``crop_box`` (N, 4) and ``flip`` (N, 2) as for
            :func:`signed_boxes` and, unless ``convention`` is None, ``ori_shape`` (N, 2), height
            and width of the images.
        convention: Of shares of the image; None: pixels.
        owner: Who needs them, for the message.

    Raises:
        ValueError: If the batch lacks an entry.
    """
    names = ('crop_box', 'flip', *(() if convention is None else ('ori_shape',)))
    lacking = [name for name in names if len(inputs.get(name, ())) < 2]
    if lacking:
        raise ValueError(
            f'{owner}: the batch lacks {", ".join(lacking)} of two views, which say where a view '
            f'lies in its image; set keys={names} in PackViews'
        )
    sizes = (None, None) if convention is None else inputs['ori_shape'][:2]
    return [
        signed_boxes(box, flip, size=size, convention=convention or 'edge')
        for box, flip, size in zip(inputs['crop_box'][:2], inputs['flip'][:2], sizes, strict=True)
    ]


def signed_boxes(
    crop_box: Float[Tensor, 'n 4'],
    flip: Bool[Tensor, 'n 2'],
    *,
    size: Shaped[Tensor, 'n 2'] | None = None,
    convention: Convention = 'edge',
) -> Float[Tensor, 'n 4']:
    """Boxes of views with their sign.

    Args:
        crop_box: (N, 4) x1 y1 x2 y2 of each view in pixels of its image, pixel edges.
        flip: (N, 2) whether the view is mirrored horizontally and vertically.
        size: (N, 2) height and width of the images; None leaves pixels.
        convention: See above; ``'pixpro'`` needs ``size``.

    Returns:
        (N, 4) x1 y1 x2 y2, ends exchanged where mirrored; shares of the image with ``size``.

    Raises:
        ValueError: If an unknown convention, or ``'pixpro'`` without sizes, is asked for.
    """
    if convention not in CONVENTIONS or (convention == 'pixpro' and size is None):
        raise ValueError(
            f"convention is {convention!r}, choose 'edge', or 'pixpro' with sizes of the images"
        )
    near, far = crop_box[:, :2], crop_box[:, 2:]
    if size is not None:
        lengths = size.flip(1).to(crop_box.dtype)  # (N, 2) width, height
        less = 1 if convention == 'pixpro' else 0
        near, far = near / (lengths - less), (far - less) / (lengths - less)
    return torch.cat((torch.where(flip, far, near), torch.where(flip, near, far)), dim=1)


def cell_centres(boxes: Float[Tensor, 'n 4'], height: int, width: int) -> Float[Tensor, 'n s 2']:
    """Centres (x, y) of the cells of views, (N, height * width, 2), in the units of the boxes."""
    rows = (torch.arange(height, device=boxes.device, dtype=boxes.dtype) + 0.5) / height
    columns = (torch.arange(width, device=boxes.device, dtype=boxes.dtype) + 0.5) / width
    shares = torch.stack(torch.meshgrid(columns, rows, indexing='xy'), dim=-1)  # (h, w, 2)
    near, far = boxes[:, None, :2], boxes[:, None, 2:]
    return near + shares.flatten(0, 1) * (far - near)


def cell_distances(
    query: Float[Tensor, 'n 4'],
    key: Float[Tensor, 'n 4'],
    query_grid: tuple[int, int],
    key_grid: tuple[int, int] | None = None,
) -> Float[Tensor, 'n s t']:
    """Distances between the cells of two views, in diagonals of a cell: the larger one of the two.

    Args:
        query: (N, 4) signed boxes in shares of the image.
        key: (N, 4) the same of the other view.
        query_grid: (height, width) of the query's map.
        key_grid: That of the key's map; default: the query's.

    Returns:
        (N, S, T), row = query cell. PixPro pairs cells below 0.7. Zero and negative sides are fine.
    """
    key_grid = key_grid or query_grid
    # Written out: the products of torch.cdist lose what a threshold needs.
    apart = (
        cell_centres(query, *query_grid)[:, :, None] - cell_centres(key, *key_grid)[:, None]
    )  # (N, S, T, 2)
    diagonals = torch.stack([_diagonal(query, query_grid), _diagonal(key, key_grid)]).amax(dim=0)
    distance: Tensor = apart.norm(dim=-1) / diagonals[:, None, None]
    return distance


def shares_in(
    points: Float[Tensor, 'n s 2'], boxes: Float[Tensor, 'n 4']
) -> tuple[Float[Tensor, 'n s 2'], Bool[Tensor, 'n s']]:
    """Where points of an image lie in a view.

    Args:
        points: (N, S, 2) x, y in the units of the boxes.
        boxes: (N, 4) signed boxes of the view.

    Returns:
        (N, S, 2), 0 to 1 from the left and from the top of the view as it is seen, beyond that
        outside; and (N, S) whether a point lies inside, borders included.
    """
    near, far = boxes[:, None, :2], boxes[:, None, 2:]
    shares = (points - near) / (far - near)
    return shares, ((shares >= 0) & (shares <= 1)).all(dim=-1)


def cells_at(shares: Float[Tensor, 'n s 2'], height: int, width: int) -> Int64[Tensor, 'n s']:
    """Index of the cell that holds each place (N, S, 2) of a view; of one outside, the next."""
    column, row = (
        (shares[..., axis] * cells).floor().clamp(0, cells - 1).long()
        for axis, cells in enumerate((width, height))
    )
    return row * width + column


def _diagonal(boxes: Float[Tensor, 'n 4'], grid: tuple[int, int]) -> Float[Tensor, ' n']:
    """Length of the diagonal of a cell, (N,)."""
    width = (boxes[:, 2] - boxes[:, 0]) / grid[1]
    height = (boxes[:, 3] - boxes[:, 1]) / grid[0]
    return (width.square() + height.square()).sqrt()
