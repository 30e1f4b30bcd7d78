"""NeCo: soft orders, references, the branch, two processes."""

from functools import partial

import pytest
import torch

from mmdssl.models.algorithms.neco import NeCo
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses import neighbour_order
from mmdssl.models.losses.neighbour_order import order_cross_entropy, similarities
from mmdssl.models.utils.soft_sort import layers_of, soft_permutation
from tests.models.algorithms.double_batch import check_equal, merged, train, train_rank
from tests.models.tiny_leopart import leopart_batch
from tests.models.tiny_neco import tiny_neco
from tests.ranks import found_by_two


@pytest.mark.parametrize('wires', [1, 2, 5, 16, 49])
@pytest.mark.parametrize('network', ['bitonic', 'odd_even'])
def test_soft_permutations_are_doubly_stochastic_and_that_of_argsort_in_the_limit(wires, network):
    values = torch.randn(4, wires, dtype=torch.float64)
    _, soft = soft_permutation(values, steepness=5.0, network=network)
    for dim in (1, 2):
        torch.testing.assert_close(soft.sum(dim=dim), torch.ones(4, wires, dtype=torch.float64))
    found, hard = soft_permutation(values, steepness=1e12, network=network)
    torch.testing.assert_close(found, values.sort(dim=1).values, atol=1e-6, rtol=0)
    assert hard.argmax(dim=1).equal(values.argsort(dim=1))


def test_49_wires_are_the_last_ones_of_64():
    layers = layers_of(49)
    assert len(layers) == 21
    whole = layers_of(64)
    for (pairs, rest), (all_pairs, _) in zip(layers, whole, strict=True):
        kept = {tuple(pair) for pair in (all_pairs.T - 15).tolist() if min(pair) >= 0}
        assert {tuple(pair) for pair in pairs.T.tolist()} == kept
        assert 2 * pairs.shape[1] + rest.shape[1] == 49


def test_the_teachers_own_order_is_the_minimum():
    teacher = torch.randn(5, 6, dtype=torch.float64)
    student = teacher.clone().requires_grad_()
    loss = order_cross_entropy(student, teacher, steepness=(3.0, 3.0))
    (slope,) = torch.autograd.grad(loss, student)
    assert slope.abs().max() < 1e-12
    for _ in range(5):
        other = teacher + 0.1 * torch.randn(5, 6, dtype=torch.float64)
        assert order_cross_entropy(other, teacher, steepness=(3.0, 3.0)) > loss


def test_chunks_change_nothing(monkeypatch):
    teacher = torch.randn(7, 5, dtype=torch.float64)
    student = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    whole = order_cross_entropy(student, teacher)
    (want,) = torch.autograd.grad(whole, student)
    monkeypatch.setattr(neighbour_order, '_CHUNK', 3)
    parts = order_cross_entropy(student, teacher)
    (found,) = torch.autograd.grad(parts, student)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(found, want)


def test_no_tokens_cost_nothing():
    empty = torch.zeros(0, 5, requires_grad=True)
    assert order_cross_entropy(empty, empty.detach()) == 0


def test_similarities():
    tokens, references = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    cosine = torch.cosine_similarity(tokens[:, :, None], references[:, None], dim=-1)
    torch.testing.assert_close(similarities(tokens, references, 'cosine'), cosine)
    distance = (tokens[:, :, None] - references[:, None]).norm(dim=-1)
    torch.testing.assert_close(similarities(tokens, references, 'euclidean'), distance)


def test_references_are_tokens_of_all_images_or_of_a_full_queue():
    model = tiny_neco(queue_length=20, queue_per_image=10)
    tokens = torch.arange(36.0)[:, None].expand(-1, 8).contiguous()  # of two images
    found = model._references(tokens, 2, purpose=0)
    assert found.shape == (2, 9, 8)
    assert len(set(found[..., 0].flatten().tolist())) == 18
    assert model._references(tokens, 2, purpose=0).equal(found)
    assert not model._references(tokens, 2, purpose=1).equal(found)
    model._enqueue(1, 100 + tokens, images=2)
    assert model._references(tokens, 2, purpose=0, view=1).min() >= 100
    assert model._references(tokens, 2, purpose=0, view=0).max() < 100
    more = model._references(tokens, 4, purpose=0, view=1)  # 36 of 20
    assert more.shape == (4, 9, 8)


def test_a_step_fills_the_queue_and_moves_the_student():
    model = tiny_neco(queue_length=64)
    model.train()
    loss = model.loss(leopart_batch())['loss_order']
    loss.backward()
    assert model.queue.filled.tolist() == [64, 64]
    assert model.backbone.patch_embed.projection.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teacher.parameters())


def test_branch_compares_orders_of_foreground_tokens():
    model, batch = tiny_neco(decoupling=dict(type='DecouplingBranch')), leopart_batch()
    views = model.decoupling.compose(batch)
    tokens, grid = model.dense_features(views.images)
    targets = torch.nn.functional.normalize(torch.randn(len(tokens), 16, 8), dim=-1)
    found = model.dense_loss((tokens, grid), dict(vectors=targets), views.foreground)
    references = model._references(targets.flatten(0, 1), len(targets), purpose=-1)
    rows = []
    for sample, row, column in views.foreground.cells(*grid).nonzero().tolist():
        place = row * grid[1] + column
        own = model.head(tokens[sample, place]) @ references[sample].T
        wanted = targets[sample, place] @ references[sample].T
        p = soft_permutation(own[None], steepness=100)[1][0]
        q = soft_permutation(wanted[None], steepness=100)[1][0]
        rows.append(-(q * p.log()).sum(dim=0).mean())
    torch.testing.assert_close(found, torch.stack(rows).mean())
    nothing = Foreground(torch.zeros_like(views.foreground.keep), 0.5)
    assert model.dense_loss((tokens, grid), dict(vectors=targets), nothing) == 0


def test_branch_leaves_the_hosts_own_loss():
    plain, host = tiny_neco().eval(), tiny_neco(decoupling=dict(type='DecouplingBranch')).eval()
    want, found = plain.loss(leopart_batch()), host.loss(leopart_batch())
    torch.testing.assert_close(found['loss_order'], want['loss_order'] * 0.7)
    assert found['loss_decoupling'] > 0


def test_settings_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="similarity is 'dot', choose one of 'cosine'"):
        tiny_neco(similarity='dot')
    with pytest.raises(ValueError, match='set num_prototypes=None'):
        tiny_neco(head=dict(type='LeopartHead', in_channels=24, num_prototypes=5))
    with pytest.raises(ValueError, match='NeCo fine-tunes a given ViT'):
        tiny_neco(init=None)


class InOrder(NeCo):
    """The references of an image are its own tokens, so that any split of a batch has the same."""

    def _order(self, count: int, purpose: int) -> torch.Tensor:
        per_image = self.roi_size**2 if purpose >= 0 else 16
        rows = torch.arange(count).unflatten(0, (-1, per_image))
        return rows[:, : self.roi_size**2].flatten()


def host():
    branch = dict(type='DecouplingBranch', foreground_threshold=1e-6)
    return tiny_neco(InOrder, decoupling=branch, steepness=(3.0, 3.0)).double().train()


def parts() -> dict[str, dict]:
    found = {}
    for name, seed in (('A', 11), ('B', 12)):
        batch = leopart_batch(4, seed=seed)
        batch['views'] = [view.double() for view in batch['views']]
        masks = torch.zeros(4, 4, 4, dtype=torch.bool)
        masks[:, :, :2] = True  # as many foreground tokens in each
        found[name] = dict(batch, dc_mask=[masks, masks.clone()])
    return found


@pytest.mark.slow
def test_two_processes_equal_one_with_the_double_batch(tmp_path):
    model = host()
    train(model, merged(parts()), lr=0.01)
    rank = partial(train_rank, host=host, parts=parts, lr=0.01)
    check_equal(model, *found_by_two(rank, tmp_path))
