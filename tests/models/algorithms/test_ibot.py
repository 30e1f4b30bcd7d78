"""IBOT's own contracts: what the branch may not change, precision, several processes."""

import pytest
import torch
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from mmdssl.engine.launch import leave_process_group
from mmdssl.models.chosen_cells import per_sample_weights
from mmdssl.models.losses.ibot_loss import IBOTLoss
from tests.models.tiny import tiny_batch, tiny_ibot

BRANCH = dict(type='DecouplingBranch')


def total(losses: dict) -> torch.Tensor:
    return sum(losses.values())


def test_no_branch_is_bit_equal_to_a_build_without_the_key():
    with_key, without = tiny_ibot(decoupling=None), tiny_ibot()
    assert with_key.state_dict().keys() == without.state_dict().keys()
    one, two = with_key.loss(tiny_batch()), without.loss(tiny_batch())
    assert one.keys() == two.keys() == {'loss_cls', 'loss_patch'}
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_branch_leaves_the_ordinary_losses_and_centers_bit_equal():
    plain, decoupled = tiny_ibot(), tiny_ibot(decoupling=BRANCH)
    one, two = plain.loss(tiny_batch()), decoupled.loss(tiny_batch())
    assert torch.equal(one['loss_cls'], two['loss_cls'])
    assert torch.equal(one['loss_patch'], two['loss_patch'])
    assert torch.equal(plain.criterion.center, decoupled.criterion.center)
    assert torch.equal(plain.criterion.patch_center, decoupled.criterion.patch_center)


def test_ibot_brings_the_public_codes_defaults_and_a_config_overrides_them():
    branch = tiny_ibot(decoupling=BRANCH).decoupling
    assert (branch.loss_weighting, branch.key_views, branch.complement_ratio) == (
        'additive',
        (0, 1),
        0.5,
    )
    assert (branch.mix_level, branch.detach) == ('patch_embed', True)
    assert not branch.complement_rectangles
    own = tiny_ibot(decoupling=dict(**BRANCH, loss_weighting='convex', key_views=(1,))).decoupling
    assert (own.loss_weighting, own.key_views) == ('convex', (1,))


def test_decoupling_loss_is_the_cross_entropy_of_the_foreground():
    """Recomputed patch by patch, without any of the model's loss code."""
    batch = tiny_batch()
    model = tiny_ibot(decoupling=dict(**BRANCH, key_views=(1,), complement_ratio=0.0)).double()
    batch['views'] = [view.double() for view in batch['views']]
    got = model.loss(batch)['loss_decoupling'] / 0.3
    samples = [6, 7]
    samples_loss = []
    for sample in samples:
        mask = batch['dc_mask'][1][sample]
        pixels = mask.repeat_interleave(8, 0).repeat_interleave(8, 1)
        # One key view: its backgrounds come from the mirrored image of the same view.
        other = batch['views'][1][7 - sample]
        image = torch.where(pixels, other, batch['views'][1][sample])[None]
        student = model.head(model.backbone.forward_tokens(image))[1][0]
        key = batch['views'][1][sample][None]
        teacher = model.teacher.head(model.teacher.backbone.forward_tokens(key))[1][0]
        target = (teacher / 0.04).softmax(-1)  # the centre starts at zero
        entropy = -(target * (student / 0.1).log_softmax(-1)).sum(-1)
        samples_loss.append(entropy[~mask.flatten()].mean())
    torch.testing.assert_close(got, torch.stack(samples_loss).mean())


def test_masks_wait_for_their_start_epoch():
    model = tiny_ibot(loss=dict(warmup_epochs=2, pred_start_epoch=3))
    model.clock.set(iteration=2, max_iterations=10, iterations_per_epoch=1)
    assert model.loss(tiny_batch())['loss_patch'] == 0
    model.clock.set(iteration=3, max_iterations=10, iterations_per_epoch=1)
    assert model.loss(tiny_batch())['loss_patch'] > 0


def test_local_crops_enter_the_cls_loss_only():
    model, batch = tiny_ibot(), tiny_batch(local=2)
    losses = model.loss(batch)
    total(losses).backward()
    without = tiny_ibot().loss({**batch, 'views': batch['views'][:2]})
    assert torch.equal(losses['loss_patch'], without['loss_patch'])
    assert not torch.equal(losses['loss_cls'], without['loss_cls'])


def test_separate_heads_train():
    head = dict(
        type='IBOTHead',
        in_channels=24,
        hidden_channels=32,
        bottleneck_channels=8,
        out_channels=16,
        patch_out_channels=12,
        shared_head=False,
    )
    model = tiny_ibot(head=head, decoupling=BRANCH)
    total(model.loss(tiny_batch())).backward()
    assert model.criterion.patch_center.shape == (1, 12)
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_losses_are_float32_under_autocast(dtype):
    model = tiny_ibot(decoupling=BRANCH)
    exact = model.loss(tiny_batch())
    model = tiny_ibot(decoupling=BRANCH)
    with torch.autocast('cpu', dtype=dtype):
        losses = model.loss(tiny_batch())
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], rtol=0.02, atol=0.02)
    assert model.criterion.center.dtype == torch.float32
    total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_teacher_follows_by_the_cosine_momentum():
    model = tiny_ibot(momentum=(0.9, 1.0))
    model.clock.set(iteration=5, max_iterations=10, iterations_per_epoch=1)
    before = model.teacher.head.mlp[0].weight.clone()
    with torch.no_grad():
        model.head.mlp[0].weight.add_(1.0)
    model.update_teacher()
    # cosine half way: m = 1 - 0.1 / 2
    torch.testing.assert_close(model.teacher.head.mlp[0].weight, before + 0.05)
    assert model.teacher.backbone.mask_token is None
    assert not any(p.requires_grad for p in model.teacher.parameters())


def test_teacher_never_drops_paths():
    model = tiny_ibot()
    model.train()
    assert model.training
    assert not any(module.training for module in model.teacher.modules())


def test_an_empty_batch_of_masks_still_gives_every_parameter_a_gradient():
    """DistributedDataParallel would hang on a parameter without one."""
    batch = tiny_batch()
    batch['mask'] = [torch.zeros_like(mask) for mask in batch['mask']]
    model = tiny_ibot(decoupling=dict(**BRANCH, mask_source='pool'))
    losses = model.loss(batch)
    assert losses['loss_patch'] == 0
    assert losses['loss_decoupling'] == 0
    total(losses).backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


def test_per_sample_weights_make_the_official_double_mean():
    torch.manual_seed(0)
    selected = torch.rand(6, 9) < 0.4
    selected[2] = False
    values = torch.rand(6, 9)
    wanted = (
        sum(
            (row[cells].mean() if cells.any() else torch.tensor(0.0))
            for row, cells in zip(values, selected, strict=True)
        )
        / 6
    )
    torch.testing.assert_close((values[selected] * per_sample_weights(selected)).sum(), wanted)


def test_batch_without_masks_is_refused():
    batch = tiny_batch()
    del batch['mask']
    with pytest.raises(ValueError, match='PackViews'):
        tiny_ibot().loss(batch)


# ---- alignment study -------------------------------------------------------------------------


@pytest.mark.parametrize('rank', [2, 5])
def test_a_masked_patch_learns_the_nth_nearest_of_its_own_target(rank):
    batch = tiny_batch()
    model, plain = tiny_ibot(correspondence=rank).double(), tiny_ibot().double()
    projected = plain._teach(batch['views'][0].double())[:, 1:]
    found = model._aligned(projected)
    for sample in range(len(projected)):
        similarity = projected[sample] @ projected[sample].T
        order = similarity.argsort(dim=1, descending=True)
        assert torch.equal(order[:, 0], torch.arange(16))  # the nearest is the patch itself
        assert torch.equal(found[sample], projected[sample][order[:, rank - 1]])
    losses = [one.loss(_double(batch)) for one in (model, plain)]
    assert losses[0]['loss_patch'] != losses[1]['loss_patch']
    assert losses[0]['loss_cls'] == losses[1]['loss_cls']


def test_a_random_alignment_depends_on_seed_and_step_only():
    model = tiny_ibot(correspondence='random')
    vectors = torch.randn(2, 16, 8)
    torch.manual_seed(5)
    one = model._aligned(vectors)
    torch.rand(7)
    assert torch.equal(one, model._aligned(vectors))
    model.clock.set(iteration=1, max_iterations=10)
    assert not torch.equal(one, model._aligned(vectors))


# ---- two processes ---------------------------------------------------------------------------

# Ranks hold A and B. One process holds all eight images in an order in which the last
# quarter (A3, B3) finds the same mirror partners (A0, B0) as on the ranks.
ORDER = [('B', 0), ('A', 0), ('A', 1), ('A', 2), ('B', 1), ('B', 2), ('A', 3), ('B', 3)]
SETTINGS = dict(decoupling=dict(**BRANCH, complement_ratio=0.0), center_counts_decoupled=True)


def _parts() -> dict[str, dict]:
    return {name: tiny_batch(4, seed=seed) for name, seed in (('A', 11), ('B', 12))}


def _step(model, batch) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        losses = model(batch, mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        getattr(model, 'module', model).update_teacher()


def _rank(rank: int, port_file: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{port_file}', rank=rank, world_size=2
    )
    model = tiny_ibot(**SETTINGS).double()
    batch = _double(_parts()['AB'[rank]])
    _step(DistributedDataParallel(model), batch)
    if rank == 0:
        torch.save(model.state_dict(), out)
    leave_process_group()


def _double(batch: dict) -> dict:
    return {**batch, 'views': [view.double() for view in batch['views']]}


def test_two_processes_equal_one_with_the_double_batch(tmp_path):
    parts = _parts()
    merged = {
        key: [torch.stack([parts[name][key][view][i] for name, i in ORDER]) for view in range(2)]
        for key in ('views', 'mask', 'dc_mask')
    }
    model = tiny_ibot(**SETTINGS).double()
    _step(model, _double(merged))
    mp.spawn(_rank, args=(str(tmp_path / 'rendezvous'), str(tmp_path / 'state.pt')), nprocs=2)
    other = torch.load(tmp_path / 'state.pt', weights_only=True)
    assert model.criterion.center.abs().max() > 1e-3
    for name, value in model.state_dict().items():
        torch.testing.assert_close(
            value, other[name], msg=lambda text, name=name: f'{name}: {text}'
        )


def test_loss_weights_scale_their_own_terms():
    """lambda_1 the CLS term, lambda_2 the patch term and that of the branch."""
    weights = dict(warmup_epochs=2, loss_weights=(2.0, 5.0))
    branch = dict(**BRANCH, complement_ratio=0.0)
    plain = tiny_ibot(decoupling=branch).loss(tiny_batch())
    weighted = tiny_ibot(decoupling=branch, loss=weights).loss(tiny_batch())
    for name, factor in (('loss_cls', 2), ('loss_patch', 5), ('loss_decoupling', 5)):
        torch.testing.assert_close(weighted[name], factor * plain[name], msg=name)


def test_each_center_moves_with_its_own_momentum():
    loss = dict(warmup_epochs=2, center_momentum=0.9, patch_center_momentum=0.6)
    one, two = tiny_ibot(), tiny_ibot(loss=loss)
    for model in (one, two):
        model.loss(tiny_batch())  # from zero: 1 - momentum of the mean logits
    torch.testing.assert_close(two.criterion.center, one.criterion.center)
    torch.testing.assert_close(two.criterion.patch_center, 4 * one.criterion.patch_center)
    assert one.criterion.patch_center.abs().max() > 1e-3


def test_defaults_of_the_loss_are_those_of_the_public_code():
    loss = IBOTLoss(out_channels=4)
    assert (loss.center_momentum, loss.patch_center_momentum) == (0.9, 0.9)
    assert (loss.student_temp, loss.loss_weights, loss.pred_start_epoch) == (0.1, (1.0, 1.0), 0)
    for temperature in (loss.cls_temperature, loss.patch_temperature):
        assert [temperature(epoch) for epoch in (0, 79, 80, 800)] == [0.04, 0.07, 0.07, 0.07]


def test_the_teacher_does_without_the_mask_token():
    model = tiny_ibot()
    names = {name for name, _ in model.teacher.named_parameters()}
    student = {name for name, _ in model.named_parameters() if name.startswith('backbone.')}
    assert 'backbone.mask_token' in student
    assert student - names == {'backbone.mask_token'}
