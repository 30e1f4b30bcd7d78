"""Exactness of the tiled search and of the vote, against brute force."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from mmdssl.evaluation.knn import knn_search, rank_classes
from mmdssl.evaluation.patch_memory import STORAGES, rounding
from tests.evaluation.memory_of_metrics import peak, resident


def coarse(rows: int, channels: int, seed: int) -> torch.Tensor:
    """Small integer features: their products are exact, so ties are real and frequent."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, (rows, channels), generator=generator).float()


def brute_force(
    queries: torch.Tensor, bank: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sort all similarities by value, then by bank index, in NumPy and float64."""
    similarities = queries.double().numpy() @ bank.double().numpy().T
    columns = np.broadcast_to(np.arange(len(bank)), similarities.shape)
    index = np.lexsort((columns, -similarities), axis=1)[:, :k]
    values = np.take_along_axis(similarities, index, axis=1)
    return torch.from_numpy(values).float(), torch.from_numpy(index.copy())


@pytest.mark.parametrize('tile', [(1, 1), (7, 5), (16, 20), (16, 21), (33, 64), (64, 500)])
@pytest.mark.parametrize('k', [1, 20])
def test_search_equals_brute_force_with_ties_at_every_tile_size(tile: tuple[int, int], k: int):
    queries, bank = coarse(33, 6, 0), coarse(203, 6, 1)
    values, index = knn_search(queries, bank, k, tile=tile, device='cpu')
    expected_values, expected_index = brute_force(queries, bank, k + 1)
    assert (expected_values[:, k] == expected_values[:, k - 1]).any()  # ties across the border
    expected_values, expected_index = expected_values[:, :k], expected_index[:, :k]
    torch.testing.assert_close(values, expected_values, rtol=0, atol=0)
    assert torch.equal(index, expected_index)


def test_search_equals_brute_force_on_unit_features():
    generator = torch.Generator().manual_seed(2)
    queries = torch.nn.functional.normalize(torch.randn(50, 48, generator=generator), dim=1)
    bank = torch.nn.functional.normalize(torch.randn(1000, 48, generator=generator), dim=1)
    values, index = knn_search(queries, bank, 20, tile=(17, 130), device='cpu')
    expected_values, expected_index = brute_force(queries, bank, 20)
    torch.testing.assert_close(values, expected_values, rtol=0, atol=1e-6)
    assert torch.equal(index, expected_index)


@pytest.mark.parametrize('rows', [1, 6, 7, 100])
def test_a_bank_in_blocks_is_the_bank_in_one(rows: int):
    queries, bank = coarse(33, 6, 0), coarse(203, 6, 1)
    cuts = np.random.default_rng(rows).integers(0, 203, 40)  # empty blocks too
    blocks = list(bank.tensor_split(sorted(cuts.tolist())))
    assert min(map(len, blocks)) == 0
    want = knn_search(queries, bank, 20, tile=(5, rows), device='cpu')
    for got, expected in zip(
        knn_search(queries, blocks, 20, tile=(5, rows), device='cpu'), want, strict=True
    ):
        assert torch.equal(got, expected)


@pytest.mark.parametrize('tile', [(7, 5), (16, 20), (64, 500)])
def test_euclidean_search_equals_brute_force_with_ties(tile: tuple[int, int]):
    queries, bank = coarse(33, 6, 0), coarse(203, 6, 1)
    values, index = knn_search(queries, bank, 20, distance='l2', tile=tile, device='cpu')
    squares = (queries[:, None] - bank[None]).square().sum(dim=2).numpy()  # (Q, B), exact
    columns = np.broadcast_to(np.arange(len(bank)), squares.shape)
    expected = np.lexsort((columns, squares), axis=1)[:, :20]
    np.testing.assert_array_equal(index.numpy(), expected)
    np.testing.assert_array_equal(-values.numpy(), np.take_along_axis(squares, expected, axis=1))


def test_euclidean_search_survives_what_all_features_share():
    """Channels of 3000 beside differences of 1: squares of 10^7 would drown them in float32."""
    generator = torch.Generator().manual_seed(3)
    queries = torch.randn(20, 16, generator=generator, dtype=torch.float64)
    bank = torch.randn(300, 16, generator=generator, dtype=torch.float64)
    want = torch.cdist(queries, bank, compute_mode='donot_use_mm_for_euclid_dist')
    want = want.topk(5, dim=1, largest=False).indices
    shift = 3000 * torch.ones(16, dtype=torch.float64)
    _, index = knn_search(queries + shift, bank + shift, 5, distance='l2', device='cpu')
    assert torch.equal(index, want)


def test_cosine_search_knows_no_lengths():
    generator = torch.Generator().manual_seed(4)
    queries, bank = (torch.randn(n, 24, generator=generator) for n in (30, 400))
    stretched = bank * torch.rand(400, 1, generator=generator).add(0.1)
    want = knn_search(
        torch.nn.functional.normalize(queries, dim=1),
        torch.nn.functional.normalize(bank, dim=1),
        7,
        device='cpu',
    )
    values, index = knn_search(queries * 9, stretched, 7, distance='cosine', device='cpu')
    assert torch.equal(index, want[1])
    torch.testing.assert_close(values, want[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize('storage', ['float32', 'float16', 'bfloat16'])
def test_a_bank_in_half_precision_is_searched_exactly_and_off_by_no_more_than_stated(storage):
    generator = torch.Generator().manual_seed(5)
    queries, bank = (
        torch.nn.functional.normalize(torch.randn(n, 32, generator=generator), dim=1)
        for n in (40, 600)
    )
    stored = bank.to(STORAGES[storage])
    values, index = knn_search(queries, list(stored.split(77)), 9, tile=(16, 50), device='cpu')
    expected, expected_index = brute_force(queries, stored.float(), 9)
    assert torch.equal(index, expected_index)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-6)
    error = (stored.double() - bank.double()) @ queries.double().T
    bound = rounding(storage)
    assert bound == dict(float32=0, float16=2**-11, bfloat16=2**-8)[storage]
    assert error.abs().max() <= bound
    assert storage == 'float32' or error.abs().max() > bound / 100


class Blocks(Sequence):
    """A bank that exists block by block only, as a mapped file does."""

    def __init__(self, count: int, *, rows: int = 2**14, channels: int = 128) -> None:
        self.count, self.shape = count, (rows, channels)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> torch.Tensor:
        if not 0 <= number < self.count:
            raise IndexError(number)
        return torch.full(self.shape, number + 1, dtype=torch.float16)


def test_memory_does_not_grow_with_the_bank():
    queries = torch.ones(64, 128)

    def extra(count: int) -> int:
        before = resident()
        _, index = knn_search(queries, Blocks(count), 3, device='cpu')
        assert index[0].tolist() == [2**14 * (count - 1) + n for n in range(3)]
        return peak() - before

    extra(2)  # pays for what is loaded once
    small, large = extra(4), extra(64)  # 16 and 256 MiB of bank
    assert large - small < 100 * 2**20


def test_unknown_distance_is_named():
    with pytest.raises(ValueError, match="distance='l1' must be 'dot', 'cosine' or 'l2'"):
        knn_search(torch.ones(2, 3), torch.ones(2, 3), 1, distance='l1')  # type: ignore[arg-type]


def test_constant_features_give_the_first_bank_rows():
    values, index = knn_search(torch.ones(5, 4), torch.ones(100, 4), 20, tile=(2, 30), device='cpu')
    assert torch.equal(index, torch.arange(20).expand(5, 20))
    assert (values == 4).all()


def test_k_beyond_the_bank_is_cut_with_a_warning():
    with pytest.warns(UserWarning, match='k=20 neighbours of a bank of 3'):
        values, index = knn_search(coarse(4, 8, 0), coarse(3, 8, 1), 20, device='cpu')
    assert values.shape == index.shape == (4, 3)


@pytest.mark.parametrize(
    ('queries', 'bank', 'message'),
    [
        (torch.ones(2, 3), torch.ones(0, 3), 'the bank has no objects'),
        (torch.ones(2, 3), [torch.ones(0, 3)], 'the bank has no objects'),
        (torch.ones(2, 3), [], 'the bank has no objects'),
        (torch.ones(2, 3), [torch.ones(2, 3), torch.ones(2, 4)], 'same backbone'),
        (torch.ones(0, 3), torch.ones(2, 3), 'the query has no objects'),
        (torch.ones(2, 3), torch.ones(2, 4), 'same backbone'),
        (torch.ones(2, 3), torch.full((2, 3), torch.nan), 'bank features contain NaN'),
    ],
)
def test_bad_features_are_named(queries: torch.Tensor, bank: torch.Tensor, message: str):
    with pytest.raises(ValueError, match=message):
        knn_search(queries, bank, 1, device='cpu')


def test_search_memory_is_bounded_by_the_tile(monkeypatch: pytest.MonkeyPatch):
    """No similarity matrix larger than the tile is ever made."""
    seen: list[int] = []
    product = torch.mm

    def spy(left: torch.Tensor, right: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        seen.append(left.shape[0] * right.shape[1])
        return product(left, right, out=out)

    monkeypatch.setattr(torch, 'mm', spy)
    knn_search(coarse(100, 4, 0), coarse(300, 4, 1), 5, tile=(32, 64), device='cpu')
    assert max(seen) == 32 * 64
    assert sum(seen) == 100 * 300


def vote_by_hand(sims: list[float], labels: list[int], classes: int, temperature: float):
    mass, votes = np.zeros(classes), np.zeros(classes)
    for s, y in zip(sims, labels, strict=True):
        mass[y] += np.exp(s / temperature)
        votes[y] += 1
    return mass, votes


@pytest.mark.parametrize('vote', ['weighted', 'majority'])
def test_vote_equals_a_loop_over_neighbours(vote: str):
    rng = np.random.default_rng(0)
    sims = -np.sort(-rng.uniform(0, 1, (40, 12)), axis=1)
    labels = rng.integers(0, 6, (40, 12))
    ranked = rank_classes(torch.from_numpy(sims).float(), torch.from_numpy(labels), 6, vote=vote)
    for row in range(40):
        mass, votes = vote_by_hand(sims[row], labels[row], 6, 0.07)
        primary = votes if vote == 'majority' else mass
        order = np.lexsort((np.arange(6), -mass, -primary))
        expected = [c if votes[c] else -1 for c in order][:5]
        assert ranked[row].tolist() == expected


def test_weighted_and_majority_votes_can_differ():
    sims = torch.tensor([[0.9, 0.2, 0.1]])
    labels = torch.tensor([[3, 1, 1]])
    assert rank_classes(sims, labels, 4, vote='weighted')[0].tolist() == [3, 1, -1, -1, -1]
    assert rank_classes(sims, labels, 4, vote='majority')[0].tolist() == [1, 3, -1, -1, -1]


def test_a_majority_tie_goes_to_the_nearer_class():
    sims = torch.tensor([[0.9, 0.8, 0.7, 0.6]])
    labels = torch.tensor([[2, 0, 2, 0]])
    assert rank_classes(sims, labels, 3, vote='majority')[0, :2].tolist() == [2, 0]


def test_unknown_vote_is_named():
    with pytest.raises(ValueError, match="vote='soft'"):
        rank_classes(torch.ones(1, 1), torch.zeros(1, 1, dtype=torch.int64), 2, vote='soft')  # type: ignore[arg-type]
