"""Matching of cells, against a search by hand."""

import pytest
import torch

from mmdssl.models.correspondence import check_rule, match_cells


def maps(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    return torch.randn(2, 5, 6, generator=make), torch.randn(2, 5, 9, generator=make)


@pytest.mark.parametrize('rule', [1, 2, 9])
def test_takes_the_nth_most_similar_cell(rule):
    query, key = maps()
    got = match_cells(query, key, rule=rule)
    for n in range(2):
        for i in range(6):
            cosines = torch.cosine_similarity(query[n, :, i, None], key[n], dim=0)
            better = (cosines > cosines[got[n, i]]).sum()
            assert better == rule - 1


def test_length_of_a_feature_does_not_matter():
    query, key = maps()
    lengths = torch.linspace(0.1, 50, 9)
    assert torch.equal(match_cells(query, key), match_cells(query, key * lengths))


def test_random_cells_are_uniform_and_follow_the_generator():
    query, key = torch.zeros(20, 3, 50), torch.zeros(20, 3, 4)
    one, two = (
        match_cells(query, key, rule='random', generator=torch.Generator().manual_seed(seed))
        for seed in (1, 2)
    )
    again = match_cells(query, key, rule='random', generator=torch.Generator().manual_seed(1))
    assert torch.equal(one, again)
    assert not torch.equal(one, two)
    counts = one.flatten().bincount(minlength=4)
    assert (counts - 250).abs().max() < 5 * (1000 * 3 / 16) ** 0.5


def test_is_exact_under_autocast():
    query, key = maps()
    want = match_cells(query, key)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(match_cells(query, key), want)


def test_no_gradient_flows():
    query, key = maps()
    assert not match_cells(query.requires_grad_(), key).requires_grad


def test_mistakes_are_named():
    query, key = maps()
    with pytest.raises(ValueError, match='only 9 cells'):
        match_cells(query, key, rule=10)
    for rule in (0, True, 'nearest', 1.5):
        with pytest.raises(ValueError, match='correspondence is'):
            check_rule(rule)
    check_rule(1)
    check_rule('random')
