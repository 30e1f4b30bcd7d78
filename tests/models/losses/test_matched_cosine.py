"""SoCo's loss against the official values, and what its matches mean."""

import pytest
import torch

from mmdssl.models.losses.matched_cosine import correspondence, matched_cosine_loss
from tests.golden import Golden, assert_close


@pytest.mark.golden
def test_loss_and_gradient_equal_official(shared):
    golden = Golden.load(shared('golden/soco_loss.npz')).sub('loss/')
    matches = golden['correspondence']
    images, regions, _ = matches.shape

    def vectors(name: str) -> torch.Tensor:
        return golden[name].double().unflatten(0, (images, regions))

    pred1 = vectors('pred1').requires_grad_()
    one = matched_cosine_loss(pred1, vectors('target2'), matches)
    two = matched_cosine_loss(vectors('pred2'), vectors('target1'), matches.transpose(1, 2))
    assert_close(one, golden['dir12_f64'], 1e-6, 'view 1 to view 2')
    assert_close(two, golden['dir21_f64'], 1e-6, 'view 2 to view 1')
    assert_close(one + two, golden['total_f64'], 1e-6, 'total')


@pytest.mark.golden
def test_gradient_is_the_official_one_on_the_unit_sphere(shared):
    """The file differentiates by unit vectors; normalising them removes the radial part."""
    golden = Golden.load(shared('golden/soco_loss.npz')).sub('loss/')
    matches = golden['correspondence']
    pred = golden['pred1'].double().unflatten(0, matches.shape[:2]).requires_grad_()
    target = golden['target2'].double().unflatten(0, matches.shape[:2])
    matched_cosine_loss(pred, target, matches).backward()
    wanted = golden['grad_pred1'].double()
    unit = golden['pred1'].double()
    wanted = wanted - (wanted * unit).sum(dim=1, keepdim=True) * unit
    assert_close(pred.grad.flatten(0, 1), wanted, 1e-5, 'gradient')


def test_equal_ids_match_and_repeated_ones_several_times():
    matches = correspondence(torch.tensor([[3, 5, 5]]), torch.tensor([[5, 9]]))
    assert matches.tolist() == [[[False, False], [True, False], [True, False]]]


def test_an_image_counts_once_whatever_its_number_of_pairs():
    vectors = torch.eye(4)[None].repeat(2, 1, 1)
    one, all_pairs = torch.zeros(4, 4), torch.eye(4)
    one[2, 2] = 1
    loss = matched_cosine_loss(vectors, vectors * 3, torch.stack((one, all_pairs)))
    assert loss.item() == pytest.approx(-2, abs=1e-5)
    nothing = matched_cosine_loss(vectors, vectors, torch.stack((one * 0, all_pairs)))
    assert nothing.item() == pytest.approx(-1, abs=1e-5)


def test_half_precision_is_widened():
    vectors = torch.randn(2, 4, 64, dtype=torch.bfloat16)
    loss = matched_cosine_loss(vectors, vectors, torch.eye(4).expand(2, 4, 4))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(-2, abs=1e-5)
