"""Soft sorting: a network of comparators that swap by degrees ("Differentiable Sorting", 2021).

A comparator of wires a and b gives, with s = atan(steepness (b - a)) / pi + 1/2 (Cauchy),

    low = s a + (1 - s) b,      high = (1 - s) a + s b,

and mixes in the same way which input each wire carries. After all comparators column r of the
permutation says of which inputs the value of rank r consists, ascending: rows and columns sum to 1,
no entry is 0, and for a large steepness it is that of argsort.

Networks: ``'bitonic'``, that of the next power of two, of which the first wires are left out with
all comparators on them (NeCo, ICLR 2025, whose 49 wires are the last ones of 64); ``'odd_even'``,
neighbours in turn, n layers.
"""

import math
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdssl.models.utils.host_copies import move

__all__ = ['Network', 'layers_of', 'soft_permutation']

Network = Literal['bitonic', 'odd_even']


@cache
def layers_of(
    wires: int, network: Network = 'bitonic'
) -> tuple[tuple[Int[Tensor, '2 _'], ...], ...]:
    """Comparators of every layer, one after the other.

    Args:
        wires: Values to sort, at least 1.
        network: See the module docstring.

    Returns:
        For each layer int64 (2, pairs), the wire that gets the lower value and the one that gets
        the higher, and (1, others), the wires that pass.
    """
    if network == 'bitonic':
        depth = math.ceil(math.log2(wires)) if wires > 1 else 0
        left_out = 2**depth - wires
        steps = [(block, block - layer) for block in range(depth) for layer in range(block + 1)]
        layers = [_bitonic(2**depth, block, 2**power, left_out) for block, power in steps]
    elif network == 'odd_even':
        layers = [[(a, a + 1) for a in range(turn % 2, wires - 1, 2)] for turn in range(wires)]
    else:
        raise ValueError(f"soft sorting: network is {network!r}, choose 'bitonic' or 'odd_even'")
    found = []
    for pairs in layers:
        used = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
        free = torch.ones(wires, dtype=torch.bool)
        free[used.flatten()] = False
        found.append((used, free.nonzero().T))
    return tuple(found)


def _bitonic(wires: int, block: int, distance: int, left_out: int) -> list[tuple[int, int]]:
    """Pairs (low, high) of one layer, counted without the wires that are left out."""
    pairs = []
    for start in range(0, wires, 2 * distance):
        for a in range(start, start + distance):
            low, high = a - left_out, a + distance - left_out
            if low >= 0:
                descending = (a // 2 ** (block + 1)) % 2
                pairs.append((high, low) if descending else (low, high))
    return pairs


def soft_permutation(
    values: Float[Tensor, 'm n'], *, steepness: float, network: Network = 'bitonic'
) -> tuple[Float[Tensor, 'm n'], Float[Tensor, 'm n n']]:
    """Sort rows softly, ascending.

    Args:
        values: (M, n).
        steepness: Of the comparators, > 0.
        network: See the module docstring.

    Returns:
        (M, n) sorted values, and (M, n, n) permutations: rows are inputs, columns ranks.
    """
    rows, wires = values.shape
    x = values.T  # (n, M)
    # By wires first, so that a wire is a block of memory.
    carried = torch.eye(wires, dtype=x.dtype, device=x.device)[:, None].expand(-1, rows, -1)
    for pairs, rest in layers_of(wires, network):
        order = move(torch.cat((pairs.flatten(), rest[0])).argsort(), x.device)
        low, high = move(pairs, x.device)
        others = move(rest[0], x.device)
        share = torch.atan((x[high] - x[low]) * steepness) / math.pi + 0.5  # (pairs, M)
        x = _compare(x, low, high, others, share)[order]
        carried = _compare(carried, low, high, others, share[..., None])[order]
    # (wire, M, input) -> (M, input, rank)
    return x.T, carried.permute(1, 2, 0)


def _compare(
    x: Float[Tensor, 'n ...'],
    low: Int[Tensor, ' p'],
    high: Int[Tensor, ' p'],
    others: Int[Tensor, ' q'],
    share: Float[Tensor, 'p ...'],
) -> Float[Tensor, 'n ...']:
    """Low results, then high ones, then the wires that pass."""
    a, b = x[low], x[high]
    return torch.cat((torch.lerp(b, a, share), torch.lerp(a, b, share), x[others]))
