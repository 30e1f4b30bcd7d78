"""DenseCL's own contracts: what the branch may not change, MoCo v2, queues, correspondence."""

import pytest
import torch
import torch.nn.functional as F

from mmdssl.models.algorithms.densecl import DenseCL
from mmdssl.models.foreground import Foreground
from tests.models.tiny_resnet import tiny_densecl, two_views

BRANCH = dict(type='DecouplingBranch')


def total(losses: dict) -> torch.Tensor:
    return sum(losses.values())


def norm_buffers(model: DenseCL) -> dict[str, torch.Tensor]:
    buffers = {name: value for name, value in model.named_buffers() if '.bn' in name}
    assert len(buffers) > 20
    return buffers


# ---- the de-coupling branch --------------------------------------------------------------------


def test_the_branch_changes_nothing_of_the_main_path():
    plain, decoupled = tiny_densecl(), tiny_densecl(decoupling=BRANCH)
    assert plain.state_dict().keys() == decoupled.state_dict().keys()
    for step in range(2):
        for model in (plain, decoupled):
            model.clock.set(iteration=step, max_iterations=10)
        one, two = plain.loss(two_views(seed=step)), decoupled.loss(two_views(seed=step))
        assert two.keys() - one.keys() == {'loss_decoupling'}
        for name, loss in one.items():
            assert torch.equal(two[name], loss * 0.7)
        # Queues, pointers, BatchNorm of student and teacher: bit for bit.
        others = dict(decoupled.named_buffers())
        for name, buffer in plain.named_buffers():
            assert torch.equal(buffer, others[name]), name
    assert any('num_batches_tracked' in name for name in norm_buffers(plain))
    assert plain.queue.pointer.item() == plain.dense_queue.pointer.item() == 16


def test_batch_norm_of_the_branch_uses_the_batch_of_the_branch():
    model = tiny_densecl()
    images = two_views()['views'][1][:3]
    before = {name: value.clone() for name, value in norm_buffers(model).items()}
    grid, size = model.dense_features(images)
    assert size == (4, 4)
    assert grid.shape == (3, 8, 16)
    for name, value in norm_buffers(model).items():
        assert torch.equal(value, before[name]), name
    want = F.normalize(model.neck(model.backbone(images))[1], dim=1)
    torch.testing.assert_close(grid, want)
    assert not torch.equal(
        norm_buffers(model)['backbone.bn1.running_mean'], before['backbone.bn1.running_mean']
    )


def test_decoupling_loss_is_info_nce_of_foreground_cells_at_equal_places():
    """Recomputed cell by cell, without any of the model's loss code."""
    batch = two_views()
    model = tiny_densecl(decoupling=dict(**BRANCH, foreground_threshold=0.6)).double()
    batch['views'] = [view.double() for view in batch['views']]
    negatives = model.dense_queue.keys.clone()
    key_map = model.teacher.backbone(batch['views'][1])
    key = F.normalize(model.teacher.neck(key_map)[1], dim=1)
    got = model.loss(batch)['loss_decoupling'] / 0.3

    rows, masks = [6, 7], batch['dc_mask'][1]
    mixed = torch.stack(
        [
            torch.where(masks[row], batch['views'][1][7 - row], batch['views'][1][row])
            for row in rows
        ]
    )
    student = F.normalize(model.neck(model.backbone(mixed))[1], dim=1)
    per_sample, foreground = [], 0
    for place, row in enumerate(rows):
        losses = []
        for cell in range(16):
            y, x = divmod(cell, 4)
            kept = (~masks[row][8 * y : 8 * y + 8, 8 * x : 8 * x + 8]).double().mean()
            if kept >= 0.6:
                own = student[place, :, cell] @ key[row, :, cell] / 0.2
                others = student[place, :, cell] @ negatives / 0.2
                losses.append(torch.cat((own[None], others)).logsumexp(0) - own)
        foreground += len(losses)
        per_sample.append(torch.stack(losses).mean())
    assert 0 < foreground < 32
    torch.testing.assert_close(got, torch.stack(per_sample).mean())


@pytest.mark.parametrize('objective', ['average', 'all'])
def test_objectives_without_positions_are_recomputed_sample_by_sample(objective):
    model = tiny_densecl(decoupling=dict(**BRANCH, objective=objective)).double()
    make = torch.Generator().manual_seed(3)
    student, key = (
        F.normalize(torch.randn(3, 8, 16, generator=make, dtype=torch.float64), dim=1)
        for _ in range(2)
    )
    keep = torch.rand(3, 4, 4, generator=make) < 0.5
    keep[1] = False
    got = model.dense_loss((student, (4, 4)), key, Foreground(keep, 0.5), objective=objective)

    def nce(query: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
        own = (query @ positive / 0.2)[None]
        return torch.cat((own, query @ model.dense_queue.keys / 0.2)).logsumexp(0) - own[0]

    want = []
    for sample in (0, 2):
        cells = keep[sample].flatten().nonzero()[:, 0].tolist()
        assert len(cells) > 2
        if objective == 'average':
            query, positive = (x[sample][:, cells].mean(1) for x in (student, key))
            want.append(nce(F.normalize(query, dim=0), F.normalize(positive, dim=0)))
        else:
            pairs = [nce(student[sample, :, i], key[sample, :, j]) for i in cells for j in cells]
            want.append(torch.stack(pairs).mean())
    torch.testing.assert_close(got, torch.stack(want).sum() / 3)


@pytest.mark.parametrize('objective', ['point', 'average', 'all'])
def test_sample_without_foreground_counts_as_zero(objective):
    batch = two_views()
    batch['dc_mask'] = [torch.ones_like(mask) for mask in batch['dc_mask']]
    model = tiny_densecl(decoupling=dict(**BRANCH, objective=objective))
    losses = model.loss(batch)
    assert losses['loss_decoupling'] == 0
    total(losses).backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


def test_redrawn_key_views_pass_the_teacher_without_moving_its_statistics():
    batch = two_views()
    batch.update(raw=batch['views'], recolor=lambda images, view: images * 0.5)
    plain = tiny_densecl()
    model = tiny_densecl(decoupling=dict(**BRANCH, reaugment='both'))
    plain.loss(batch)
    losses = model.loss(batch)
    others = norm_buffers(model)
    assert all(torch.equal(value, others[name]) for name, value in norm_buffers(plain).items())
    reused = tiny_densecl(decoupling=BRANCH).loss(batch)
    assert not torch.equal(losses['loss_decoupling'], reused['loss_decoupling'])


# ---- MoCo v2 -----------------------------------------------------------------------------------


def test_moco_v2_is_the_global_half():
    dense, moco = tiny_densecl(), tiny_densecl(loss_lambda=0)
    assert not [name for name in moco.state_dict() if 'mlp2' in name or 'dense_queue' in name]
    shared_weights = {k: v for k, v in dense.state_dict().items() if k in moco.state_dict()}
    moco.load_state_dict(shared_weights)
    one, two = dense.loss(two_views()), moco.loss(two_views())
    assert two.keys() == {'loss_single'}
    torch.testing.assert_close(two['loss_single'], one['loss_single'] * 2)
    assert torch.equal(moco.queue.keys, dense.queue.keys)
    total(two).backward()
    assert all(p.grad is not None for p in moco.parameters() if p.requires_grad)


def test_moco_v2_takes_a_neck_of_its_own():
    neck = dict(type='MoCoV2Neck', in_channels=32, hid_channels=16, out_channels=8)
    assert tiny_densecl(loss_lambda=0, neck=neck).loss(two_views()).keys() == {'loss_single'}


# ---- queues ------------------------------------------------------------------------------------


def test_queues_get_the_keys_of_the_step_after_the_losses():
    model = tiny_densecl().double()
    batch = two_views()
    batch['views'] = [view.double() for view in batch['views']]
    vector, grid, _ = model.teacher.neck(model.teacher.backbone(batch['views'][1]))
    first = model.queue.keys.clone(), model.dense_queue.keys.clone()
    model.loss(batch)
    torch.testing.assert_close(model.queue.keys[:, :8], F.normalize(vector, dim=1).T)
    torch.testing.assert_close(model.dense_queue.keys[:, :8], F.normalize(grid.mean(2), dim=1).T)
    assert torch.equal(model.queue.keys[:, 8:], first[0][:, 8:])
    assert torch.equal(model.dense_queue.keys[:, 8:], first[1][:, 8:])


def test_check_data_fits_both_queues():
    model = tiny_densecl(queue_length=65536)
    model.check_data(batch_size=8, num_images=30)
    assert model.queue.length == model.dense_queue.length == 24
    for step in range(4):
        model.loss(two_views(seed=step))
    assert model.queue.pointer.item() == 8
    with pytest.raises(ValueError, match='one step brings 8 keys, more than the 7 keys'):
        tiny_densecl().check_data(batch_size=8, num_images=7)
    with pytest.raises(ValueError, match='at least 4'):
        tiny_densecl(decoupling=BRANCH).check_data(batch_size=3, num_images=300)


def test_resumed_model_continues_with_the_same_queue():
    model = tiny_densecl(queue_length=65536)
    model.check_data(batch_size=8, num_images=30)
    model.loss(two_views())
    resumed = tiny_densecl(queue_length=65536)
    resumed.load_state_dict(model.state_dict())
    assert resumed.queue.length == 24
    one, two = model.loss(two_views(seed=2)), resumed.loss(two_views(seed=2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert torch.equal(model.dense_queue.keys, resumed.dense_queue.keys)


# ---- teacher -----------------------------------------------------------------------------------


def test_student_is_kept_and_the_teacher_has_statistics_of_its_own():
    model = tiny_densecl()
    assert model.get_backbone() is model.backbone
    model.train()
    assert model.teacher.backbone.bn1.training
    model.loss(two_views())
    own, other = model.backbone.bn1.running_mean, model.teacher.backbone.bn1.running_mean
    assert own.abs().sum() > 0
    assert other.abs().sum() > 0
    before = other.clone()
    assert not torch.equal(own, other)
    with torch.no_grad():
        model.neck.mlp[0].weight.add_(1.0)
    weight = model.teacher.neck.mlp[0].weight.clone()
    model.update_teacher()
    torch.testing.assert_close(model.teacher.neck.mlp[0].weight, weight + 0.001)
    assert torch.equal(model.teacher.backbone.bn1.running_mean, before)


# ---- correspondence ----------------------------------------------------------------------------


def test_worse_alignment_changes_the_dense_loss_only():
    losses = {
        rule: tiny_densecl(correspondence=rule).loss(two_views()) for rule in (1, 4, 'random')
    }
    for rule in (4, 'random'):
        assert torch.equal(losses[rule]['loss_single'], losses[1]['loss_single'])
        assert not torch.equal(losses[rule]['loss_dense'], losses[1]['loss_dense'])


def test_random_alignment_is_drawn_anew_each_step_and_leaves_other_draws_alone():
    def dense(iteration: int) -> torch.Tensor:
        model = tiny_densecl(correspondence='random')
        model.clock.set(iteration=iteration, max_iterations=10)
        torch.manual_seed(5)
        state = torch.get_rng_state()
        loss = model.loss(two_views())['loss_dense']
        assert torch.equal(torch.get_rng_state(), state)
        return loss

    assert torch.equal(dense(1), dense(1))
    assert not torch.equal(dense(1), dense(2))


# ---- precision, mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_losses_are_float32_under_autocast(dtype):
    exact = tiny_densecl(decoupling=BRANCH).loss(two_views())
    model = tiny_densecl(decoupling=BRANCH)
    with torch.autocast('cpu', dtype=dtype):
        losses = model.loss(two_views())
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], rtol=0.05, atol=0.05)
    assert model.queue.keys.dtype == torch.float32
    total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_channels_last_images_give_the_same_losses():
    batch = two_views()
    one = tiny_densecl().double()
    two = tiny_densecl().double()
    batch['views'] = [view.double() for view in batch['views']]
    want = one.loss(batch)
    batch['views'] = [view.contiguous(memory_format=torch.channels_last) for view in batch['views']]
    got = two.to(memory_format=torch.channels_last).loss(batch)
    for name in want:
        torch.testing.assert_close(got[name], want[name])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(loss_lambda=1.5), 'loss_lambda is 1.5'),
        (dict(loss_lambda=0, decoupling=BRANCH), 'needs the dense branch'),
        (dict(correspondence=0), 'correspondence is 0'),
        (
            dict(
                neck=dict(
                    type='DenseCLNeck', in_channels=32, hid_channels=8, out_channels=8, num_grid=3
                )
            ),
            'num_grid',
        ),
        (dict(backbone=dict(out_indices=(2, 3))), r'out_indices of the backbone is \(2, 3\)'),
        (dict(decoupling=dict(**BRANCH, mix_level='patch_embed')), 'patch embedding'),
    ],
)
def test_mistakes_are_named_when_built(change, message):
    with pytest.raises(ValueError, match=message):
        tiny_densecl(**change)


def test_single_view_is_refused():
    with pytest.raises(ValueError, match='two views'):
        tiny_densecl().loss(dict(views=two_views()['views'][:1]))


def in_batch_loss(query: torch.Tensor, positive: torch.Tensor, keys: torch.Tensor, own: int):
    """-log softmax of the positive among it and the keys of the other images."""
    others = [key for index, key in enumerate(keys) if index != own]
    logits = torch.stack([query @ positive, *(query @ key for key in others)]) / 0.2
    return -logits.log_softmax(0)[0]


def test_negatives_of_the_batch_are_the_keys_of_its_other_images():
    """Recomputed image by image and cell by cell; no queue is there to be read or kept."""
    batch = two_views()
    model = tiny_densecl(negatives='batch', decoupling=dict(type='DecouplingBranch'))
    assert not any('queue' in name for name in model.state_dict())
    got = model.loss(batch)
    other = tiny_densecl(negatives='batch')
    query = other._encode(other.backbone, other.neck, batch['views'][0])
    key = other._encode(other.teacher.backbone, other.teacher.neck, batch['views'][1])
    single = [in_batch_loss(query.vector[n], key.vector[n], key.vector, n) for n in range(8)]
    nearest = torch.einsum(
        'ncs,nct->nst',
        F.normalize(query.cells.flatten(2), dim=1),
        F.normalize(key.cells.flatten(2), dim=1),
    ).argmax(dim=2)
    dense = [
        in_batch_loss(query.grid[n, :, s], key.grid[n, :, nearest[n, s]], key.pooled, n)
        for n in range(8)
        for s in range(16)
    ]
    torch.testing.assert_close(got['loss_single'], 0.7 * 0.5 * sum(single) / 8)
    torch.testing.assert_close(got['loss_dense'], 0.7 * 0.5 * sum(dense) / 128)

    # X^D: cell j of the key view is the positive, the other images of the batch the negatives.
    views = model.decoupling.compose(batch)
    vectors, grid = other.dense_features(views.images)
    chosen = views.foreground.cells(*grid).flatten(1)
    samples = []
    for row, index in enumerate(views.selections[0].index.tolist()):
        cells = chosen[row].nonzero()[:, 0].tolist()
        terms = [
            in_batch_loss(vectors[row, :, j], key.grid[index, :, j], key.pooled, index)
            for j in cells
        ]
        samples.append(sum(terms) / max(len(terms), 1))
    torch.testing.assert_close(got['loss_decoupling'], 0.3 * sum(samples) / len(samples))


@pytest.mark.parametrize('objective', ['point', 'average', 'all'])
@pytest.mark.parametrize('reaugment', [False, 'both'])
def test_every_objective_knows_negatives_of_the_batch(objective, reaugment):
    batch = two_views()
    batch['raw'], batch['recolor'] = batch['views'], lambda images, view: images
    branch = dict(type='DecouplingBranch', objective=objective, reaugment=reaugment)
    losses = tiny_densecl(negatives='batch', decoupling=branch).loss(batch)
    assert losses['loss_decoupling'].isfinite()
    assert losses['loss_decoupling'] > 0


def test_one_image_has_no_negatives_of_the_batch():
    with pytest.raises(ValueError, match='leaves none'):
        tiny_densecl(negatives='batch').check_data(batch_size=1, num_images=8)
    with pytest.raises(ValueError, match="give 'queue' or 'batch'"):
        tiny_densecl(negatives='images')
