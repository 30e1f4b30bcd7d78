"""InfoNCE against the plain softmax cross entropy over [positive, negatives]."""

import pytest
import torch
import torch.nn.functional as F

from mmdssl.models.losses import info_nce as module
from mmdssl.models.losses.info_nce import info_nce


def vectors(count, dim=16, negatives=50, dtype=torch.float64):
    make = torch.Generator().manual_seed(count)

    def unit(*shape, along):
        return F.normalize(torch.randn(*shape, generator=make, dtype=dtype), dim=along)

    return (
        unit(count, dim, along=1).requires_grad_(),
        unit(count, dim, along=1),
        unit(dim, negatives, along=0),
    )


def plain(query, positive, negatives, temperature):
    own = (query * positive).sum(1, keepdim=True)
    logits = torch.cat((own, query @ negatives), dim=1) / temperature
    return F.cross_entropy(
        logits, logits.new_zeros(len(logits), dtype=torch.long), reduction='none'
    )


@pytest.mark.parametrize('temperature', [0.02, 0.2, 1.0])
@pytest.mark.parametrize('block', [1, 120, 2**20])  # a row, two rows, everything at once
def test_equals_cross_entropy_with_gradient(monkeypatch, temperature, block):
    monkeypatch.setitem(module._BLOCK, 'cpu', block)
    query, positive, negatives = vectors(7)
    positive.requires_grad_()
    weights = torch.linspace(-1, 2, 7, dtype=torch.float64)
    got = info_nce(query, positive, negatives, temperature)
    got_grads = torch.autograd.grad((got * weights).sum(), (query, positive))
    want = plain(query, positive, negatives, temperature)
    want_grads = torch.autograd.grad((want * weights).sum(), (query, positive))
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(got_grads, want_grads, rtol=1e-9, atol=1e-12)


def test_several_positives_are_compared_one_by_one():
    query, _, negatives = vectors(5)
    many = torch.stack([vectors(5)[1].roll(shift, 0) for shift in range(3)], dim=1)  # (5, 3, 16)
    got = info_nce(query, many, negatives, 0.2)
    want = torch.stack([info_nce(query, many[:, p], negatives, 0.2) for p in range(3)], dim=1)
    torch.testing.assert_close(got, want)
    got_grad, want_grad = (torch.autograd.grad(x.square().sum(), query)[0] for x in (got, want))
    torch.testing.assert_close(got_grad, want_grad)


def test_works_without_gradient_and_without_queries():
    query, positive, negatives = vectors(3)
    with torch.no_grad():
        torch.testing.assert_close(
            info_nce(query, positive, negatives, 0.2), plain(query, positive, negatives, 0.2)
        )
    empty = info_nce(query[:0], positive[:0], negatives, 0.2)
    assert empty.shape == (0,)
    (gradient,) = torch.autograd.grad(empty.sum(), query)
    assert not gradient.any()


def test_computes_in_float32_under_autocast():
    query, positive, negatives = vectors(5, dtype=torch.float32)
    want = info_nce(query, positive, negatives, 0.2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = info_nce(query, positive, negatives, 0.2)
    assert torch.equal(got, want)
    assert info_nce(query.bfloat16(), positive.bfloat16(), negatives, 0.2).dtype == torch.float32


def test_large_logits_stay_finite():
    _, _, negatives = vectors(4, dtype=torch.float32)
    near = negatives[:, :4].T.contiguous()
    loss = info_nce(near.clone().requires_grad_(), -near, negatives, 1e-3)
    torch.testing.assert_close(loss, torch.full((4,), 2000.0))
    assert info_nce(near, near, negatives[:, 4:], 1e-3).max() < 1e-6


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(positive=torch.ones(3, 2)), r'positives \(3, 2\)'),
        (dict(positive=torch.ones(4)), r'positives \(4,\)'),
        (dict(negatives=torch.ones(4, 2)), r'negatives \(4, 2\)'),
        (dict(temperature=0.0), 'temperature is 0.0'),
        (dict(negatives=torch.ones(2, 4, requires_grad=True)), 'constants'),
    ],
)
def test_mistakes_are_named(change, message):
    given = dict(
        query=torch.ones(4, 2), positive=torch.ones(4, 2), negatives=torch.ones(2, 4), temperature=1
    )
    with pytest.raises(ValueError, match=message):
        info_nce(**{**given, **change})


def test_the_own_column_is_no_negative():
    """Equal, with its gradient, to logits from which that column is taken out."""
    make = torch.Generator().manual_seed(5)
    query, positive = (torch.randn(6, 4, generator=make).double() for _ in range(2))
    negatives = torch.randn(4, 5, generator=make).double()
    own = torch.tensor([0, 1, 4, 4, 2, 0])
    query.requires_grad_()
    got = info_nce(query, positive, negatives, 0.3, own=own)
    (gradient,) = torch.autograd.grad(got.sum(), query)
    want = []
    for row, column in enumerate(own.tolist()):
        rest = torch.cat([negatives[:, :column], negatives[:, column + 1 :]], dim=1)
        logits = torch.cat([(query[row] @ positive[row])[None], query[row] @ rest]) / 0.3
        want.append(-logits.log_softmax(0)[0])
    torch.testing.assert_close(got, torch.stack(want))
    torch.testing.assert_close(gradient, torch.autograd.grad(sum(want), query)[0])
    with pytest.raises(ValueError, match='no negative is left'):
        info_nce(query, positive, negatives[:, :1], 0.3, own=own)
