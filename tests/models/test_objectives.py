"""The three ways to pair vectors, each against a plain loop over the pairs."""

import pytest
import torch
import torch.nn.functional as F

from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.models.foreground import Foreground
from mmdssl.models.objectives import mean_of_samples, unit_mean_of_samples
from tests.models.tiny import tiny_batch, tiny_ibot


def test_means_are_taken_sample_by_sample():
    rows = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])
    sample = torch.tensor([0, 0, 2])
    torch.testing.assert_close(
        mean_of_samples(rows, sample, 3), torch.tensor([[2.0, 2.0], [0.0, 0.0], [0.0, 2.0]])
    )
    half = 0.5**0.5
    torch.testing.assert_close(
        unit_mean_of_samples(rows, sample, 3),
        torch.tensor([[half, half], [0.0, 0.0], [0.0, 1.0]]),
    )


@pytest.fixture
def parts():
    """iBOT, student tokens, teacher vectors and a foreground with one empty sample."""
    torch.manual_seed(3)
    model = tiny_ibot().double()
    tokens, grid = model.dense_features(tiny_batch(3)['views'][0].double())
    targets = F.normalize(torch.randn(3, 16, 8, dtype=torch.float64), dim=2)
    keep = torch.rand(3, 4, 4) < 0.5
    keep[1] = False
    return model, (tokens, grid), targets, Foreground(keep=keep, threshold=0.5)


def by_hand(model, tokens, targets, cells, objective):
    """Mean over samples of the mean cross entropy over that sample's pairs."""
    total = 0.0
    for sample in range(len(tokens)):
        student = model.head.project(tokens[sample][cells[sample]])
        teacher = targets[sample][cells[sample]]
        if not len(student):
            continue
        if objective == 'average':
            student = F.normalize(student.mean(0, keepdim=True), dim=1)
            teacher = F.normalize(teacher.mean(0, keepdim=True), dim=1)
        probabilities = (model.teacher.head.patch_logits(teacher) / 0.04).softmax(1)
        logs = (model.head.patch_logits(student) / 0.1).log_softmax(1)
        entropies = -(logs @ probabilities.T)  # every student row with every teacher row
        total += entropies.diagonal().mean() if objective == 'point' else entropies.mean()
    return total / len(tokens)


@pytest.mark.parametrize('objective', ['point', 'average', 'all'])
def test_ibot_compares_what_the_objective_says(parts, objective):
    model, features, targets, foreground = parts
    cells = foreground.cells(4, 4).flatten(1)
    loss = model.dense_loss(features, targets, foreground, objective=objective)
    expected = by_hand(model, features[0], targets, cells, objective)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-8)
    loss.backward()
    assert model.backbone.pos_embed.grad.abs().sum() > 0


def test_objectives_differ(parts):
    model, features, targets, foreground = parts
    losses = [
        model.dense_loss(features, targets, foreground, objective=objective).item()
        for objective in ('point', 'average', 'all')
    ]
    assert len({round(loss, 4) for loss in losses}) == 3


@pytest.mark.parametrize('objective', ['average', 'all'])
def test_the_branch_hands_its_objective_to_the_host(objective):
    branch = dict(type='DecouplingBranch', sample_ratio=0.5, objective=objective)
    plain = dict(branch, objective='point')
    losses = [
        tiny_ibot(decoupling=one).loss(tiny_batch())['loss_decoupling'] for one in (branch, plain)
    ]
    assert not torch.isclose(*losses)


def test_an_objective_the_host_lacks_is_refused_when_built():
    class Host:
        supports_patch_mixing = False
        further_objectives = ('average',)

    DecouplingBranch(objective='average').check_host(Host())
    with pytest.raises(ValueError, match="Host has no objective 'all'"):
        DecouplingBranch(objective='all').check_host(Host())
    with pytest.raises(ValueError, match="objective is 'pixel'"):
        DecouplingBranch(objective='pixel')
