"""Exact k-nearest-neighbour search and voting in bounded memory.

The similarity matrix of COCO (36k queries x 330k objects) would take 48 GB. It is walked tile by
tile instead: one matrix product, the k best of the tile, and a merge with the k best so far. The
result is that of a brute-force search, ties included: of equally similar neighbours the one that
comes first in the bank wins, whatever the tile size.

O-KNN, in-context segmentation and patch k-NN segmentation all search with it. A bank of ten
million patches may be held in half precision: every product is one of float32 all the same, so the
result is the exact one of the rounded bank (how far off: :mod:`mmdssl.evaluation.patch_memory`).
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from jaxtyping import Float, Float32, Int64
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ['Distance', 'Vote', 'knn_search', 'rank_classes', 'row_tiles']

Vote = Literal['weighted', 'majority']
Distance = Literal['dot', 'cosine', 'l2']

_VOTE_ROWS = 8192  # queries whose class scores are held at once
_PROGRESS_FROM = 10**9  # similarities; below this the search takes well under 10 s


def knn_search(
    queries: Float[Tensor, '...'],  # shapes of both are judged in words
    bank: Float[Tensor, '...'] | Sequence[Float[Tensor, '...']],
    k: int,
    *,
    distance: Distance = 'dot',
    tile: tuple[int, int] = (1024, 8192),
    device: str | torch.device | None = None,
    progress: bool = True,
) -> tuple[Float32[Tensor, 'q k'], Int64[Tensor, 'q k']]:
    """The ``k`` bank rows that are most similar to every query.

    Args:
        queries: (Q, C) features of any float type.
        bank: (B, C) features of any float type, or blocks (b_i, C) of them, which are put together
            tile by tile: what lies in memory (or in a mapped file) in blocks is not copied whole.
        k: Neighbours per query. More than the bank holds is cut to the bank's size with a warning.
        distance: What similarity is. 'dot': the dot product; 'cosine': that of rows brought to unit
            length; 'l2': minus the squared Euclidean distance.
        tile: Queries and bank rows whose similarities are held at a time; the search needs about
            ``4 * tile[0] * tile[1]`` bytes (32 MiB) beside its input and its result.
        device: Where to search, ``None`` for a GPU where there is one.
        progress: Show how far a long search is, where a terminal is there to see it.

    Returns:
        Similarities (Q, k) float32, descending, and bank indices (Q, k) int64, both on the CPU.

    Raises:
        ValueError: If either side is empty, the feature sizes differ, a value is not finite or
            ``distance`` is unknown.
    """
    _check(queries, bank, k, tile)
    if distance not in ('dot', 'cosine', 'l2'):
        raise ValueError(f"distance={distance!r} must be 'dot', 'cosine' or 'l2'")
    blocks = [bank] if isinstance(bank, Tensor) else bank
    size = sum(map(len, blocks))
    if k > size:
        warnings.warn(f'k={k} neighbours of a bank of {size}: using all of it', stacklevel=2)
        k = size
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    queries = queries.to(device, torch.float32)
    origin = queries.new_zeros(())
    lengths = queries.new_zeros(())
    if distance == 'cosine':
        queries = normalize(queries, dim=1)
    elif distance == 'l2':
        # Distances do not change when all points move; what all have in common would drown them.
        origin = next(block[0] for block in blocks if len(block)).to(queries)
        queries = queries - origin
        lengths = queries.square().sum(dim=1, keepdim=True)
    best = torch.full((len(queries), k), -torch.inf, device=device)
    index = torch.zeros(len(queries), k, dtype=torch.int64, device=device)
    # Written over for every tile: fresh memory each time costs a tenth of the search.
    buffer = torch.empty(min(tile[0], len(queries)) * min(tile[1], size), device=device)

    starts = range(0, size, tile[1])
    tiles = row_tiles(bank, tile[1])
    console = Console(stderr=True)
    quiet = not progress or len(queries) * size < _PROGRESS_FROM or not console.is_terminal
    with torch.inference_mode(), _full_precision():
        for start in track(starts, 'nearest neighbours', console=console, disable=quiet):
            part = next(tiles).to(device, torch.float32)
            if distance == 'cosine':
                part = normalize(part, dim=1)
            elif distance == 'l2':
                part = part - origin
                norms = part.square().sum(dim=1)
                part = part * 2
            sides = zip(
                queries.split(tile[0]), best.split(tile[0]), index.split(tile[0]), strict=True
            )
            for rows, values, where in sides:
                block = buffer[: len(rows) * len(part)].view(len(rows), len(part))
                torch.mm(rows, part.T, out=block)
                if distance == 'l2':
                    block -= norms  # 2 q b - b b, which ranks as the distance does
                _merge(values, where, block, start)
        if distance == 'l2':
            best = (best - lengths).clamp_(max=0)
    return best.cpu(), index.cpu()


def _merge(
    best: Float32[Tensor, 'q k'],
    index: Int64[Tensor, 'q k'],
    block: Float32[Tensor, 'q n'],
    start: int,
) -> None:
    """Put what is nearer among the similarities of a tile into the k best so far, in place.

    What was there comes first and has the lower bank indices: of equals it stays. So a query whose
    last neighbour nothing exceeds is done with, which late in a large bank are nearly all.
    """
    k = best.shape[1]
    nearer = (block.amax(dim=1) > best[:, -1]).nonzero()[:, 0]
    if not len(nearer):
        return
    values, where = _top(block if len(nearer) == len(block) else block[nearer], k)
    values = torch.cat([best[nearer], values], dim=1)
    where = torch.cat([index[nearer], where + start], dim=1)
    # A stable sort keeps the rule for ties.
    values, order = values.sort(dim=1, descending=True, stable=True)
    best[nearer] = values[:, :k]
    index[nearer] = where.gather(1, order[:, :k])


def row_tiles(
    features: Float[Tensor, 'b c'] | Sequence[Float[Tensor, '_ c']], rows: int
) -> Iterator[Float[Tensor, '_ c']]:
    """Features (rows, C) at a time; of blocks of any size only these are copied."""
    if isinstance(features, Tensor):
        yield from features.split(rows)
        return
    held: list[Tensor] = []
    count = 0
    for block in features:
        for part in (block[: rows - count], *block[rows - count :].split(rows)):
            held.append(part)
            count += len(part)
            if count == rows:
                yield torch.cat(held)
                held, count = [], 0
    if count:
        yield torch.cat(held)


def _check(
    queries: Float[Tensor, '...'],
    bank: Float[Tensor, '...'] | Sequence[Float[Tensor, '...']],
    k: int,
    tile: tuple[int, int],
) -> None:
    if k < 1 or min(tile) < 1:
        raise ValueError(f'k={k} and tile={tile} must be positive')
    blocks = [bank] if isinstance(bank, Tensor) else bank
    for name, parts in (('query', [queries]), ('bank', blocks)):
        if any(part.ndim != 2 for part in parts) or not any(map(len, parts)):
            shape = tuple(parts[0].shape) if parts else ()
            raise ValueError(
                f'the {name} has no objects (features of shape {shape}): check the '
                f'annotation file and the tags of the evaluation data'
            )
        # Part by part: isfinite makes copies.
        if not all(rows.isfinite().all() for part in parts for rows in part.split(tile[1])):
            raise ValueError(
                f'the {name} features contain NaN or infinity: the backbone has diverged'
            )
    for block in blocks:
        if queries.shape[1] != block.shape[1]:
            raise ValueError(
                f'query features have {queries.shape[1]} channels and bank features '
                f'{block.shape[1]}: both must come from the same backbone'
            )


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in fp32 even where a training run allows TF32."""
    previous = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(previous)


def _top(
    similarities: Float32[Tensor, 'q n'], k: int
) -> tuple[Float32[Tensor, 'q m'], Int64[Tensor, 'q m']]:
    """The ``k`` largest of each row (q, n), descending; of equal ones the lowest columns."""
    n = similarities.shape[1]
    if n <= k:
        return similarities.sort(dim=1, descending=True, stable=True)
    # One more than asked: where it equals the last one taken, topk chose among equals at will.
    values, index = similarities.topk(k + 1, dim=1)
    tied = values[:, k] == values[:, k - 1]
    values, index = values[:, :k], index[:, :k]
    if tied.any():
        rows = similarities[tied]
        limit = values[tied, -1:]
        above, level = rows > limit, rows == limit
        vacant = k - above.sum(dim=1, keepdim=True)
        taken = above | (level & (level.cumsum(dim=1, dtype=torch.int32) <= vacant))
        index[tied] = taken.nonzero()[:, 1].view(-1, k)
        values = similarities.gather(1, index)
    # By column first, so that the stable sort by value leaves equal ones in column order.
    index = index.sort(dim=1).values
    values, order = similarities.gather(1, index).sort(dim=1, descending=True, stable=True)
    return values, index.gather(1, order)


def rank_classes(
    similarities: Float32[Tensor, 'q k'],
    labels: Int64[Tensor, 'q k'],
    num_classes: int,
    *,
    vote: Vote = 'weighted',
    temperature: float = 0.07,
    top: int = 5,
) -> Int64[Tensor, 'q {top}']:
    """Let the neighbours of every query vote for their class.

    Args:
        similarities: (Q, k) float32, descending, of the neighbours.
        labels: (Q, k) int64 classes of the neighbours, 0 <= label < num_classes.
        num_classes: Number of classes.
        vote: 'weighted': a neighbour of similarity s counts exp(s / temperature), the rule of
            DINO's k-NN; 'majority': each counts one, and equal counts are decided by those
            weights. What is still equal goes to the lower class index.
        temperature: Of the weights, > 0.
        top: Classes to return.

    Returns:
        (Q, top) int64, the classes in descending order of votes; -1 where fewer classes got one,
        so that a class nobody voted for is never among the predictions.

    Raises:
        ValueError: If ``vote`` or ``temperature`` is not as said.
    """
    if vote not in ('weighted', 'majority'):
        raise ValueError(f"vote={vote!r} must be 'weighted' or 'majority'")
    if temperature <= 0:
        raise ValueError(f'temperature={temperature} must be positive')
    # A factor common to a query's votes changes no rank and keeps exp within fp32.
    weights = ((similarities - similarities[:, :1]) / temperature).exp()
    ranked = [
        _rank(w, y, num_classes, vote, top)
        for w, y in zip(weights.split(_VOTE_ROWS), labels.split(_VOTE_ROWS), strict=True)
    ]
    return torch.cat(ranked)


def _rank(
    weights: Float32[Tensor, 'q k'],
    labels: Int64[Tensor, 'q k'],
    num_classes: int,
    vote: str,
    top: int,
) -> Int64[Tensor, 'q {top}']:
    empty = weights.new_zeros(len(weights), num_classes)
    mass = empty.scatter_add(1, labels, weights)
    votes = empty.scatter_add(1, labels, torch.ones_like(weights))
    order = mass.argsort(dim=1, descending=True, stable=True)
    # By votes, and among equal votes in the order by weight; with weighted voting only to put the
    # classes without a vote last, even where a tiny temperature rounds a vote to zero.
    key = votes if vote == 'majority' else votes.clamp(max=1)
    again = key.gather(1, order).argsort(dim=1, descending=True, stable=True)
    order = order.gather(1, again)
    voted = votes.gather(1, order) > 0
    order = order.where(voted, -1)[:, :top]
    return torch.nn.functional.pad(order, (0, top - order.shape[1]), value=-1)
