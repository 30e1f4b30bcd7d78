"""SlotCon: invariants of its losses, the branch, two processes."""

from functools import partial

import pytest
import torch

from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.slot_contrast import aligned_scores, grouping_loss, slot_contrast_loss
from mmdssl.models.utils.crop_geometry import common_part
from tests.models.algorithms.double_batch import check_equal, merged, train, train_rank
from tests.models.tiny_slotcon import tiny_slotcon, two_crops
from tests.ranks import found_by_two

GROUPS = dict(norm=dict(type='GN', num_groups=2))


def double(batch: dict) -> dict:
    return {**batch, 'views': [view.double() for view in batch['views']]}


def test_equal_crops_share_all_and_alignment_leaves_the_map():
    crop = torch.tensor([[3.0, 5.0, 40.0, 60.0]]).double()
    box, meets = common_part(crop, crop, torch.zeros(1, 2, dtype=torch.bool))
    assert meets.all()
    assert box.tolist() == [[0, 0, 1, 1]]
    maps = torch.randn(1, 5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(aligned_scores(maps, box, torch.zeros(1, 2) > 0), maps)


def test_a_flipped_view_with_its_map_changes_no_loss():
    """The views are maps here: what a net sees of a mirrored image need not be mirrored."""
    from tests.models.tiny_maps import GivenMaps

    model = tiny_slotcon(backbone=GivenMaps()).double()
    batch = two_crops(4)
    batch['views'] = [torch.randn(4, 32, 5, 5, dtype=torch.float64) for _ in range(2)]
    want = model.loss(batch)
    mirrored = dict(batch, views=[batch['views'][0], batch['views'][1].flip(3)])
    mirrored['flip'] = [batch['flip'][0], batch['flip'][1] ^ torch.tensor([True, False])]
    model.centre.zero_()
    found = model.loss(mirrored)
    for name in ('loss_group', 'loss_slot'):
        torch.testing.assert_close(found[name], want[name])


def test_images_without_a_common_part_do_not_count():
    student, teacher = torch.randn(2, 3, 6, 4, 4).double()
    settings = dict(student_temperature=0.1, teacher_temperature=0.07)
    centre = torch.zeros(1, 6).double()
    some = torch.tensor([True, False, True])
    found = grouping_loss(student, teacher, centre, some, **settings)
    want = grouping_loss(student[some], teacher[some], centre, some[some], **settings)
    torch.testing.assert_close(found, want)
    batch = two_crops()
    batch['crop_box'][1] = batch['crop_box'][0] + 100
    losses = tiny_slotcon().loss(batch)
    assert losses['loss_group'] == 0
    assert losses['loss_slot'] > 0


@pytest.mark.parametrize('counted', [0, 1])
def test_fewer_slots_than_batch_norm_needs(counted):
    model = tiny_slotcon()
    slots = torch.randn(2, 6, 8, requires_grad=True)
    both = torch.zeros(2, 6, dtype=torch.bool)
    both.view(-1)[5 : 5 + counted] = True
    loss = slot_contrast_loss(slots, slots.detach(), both, both, model.predictor, temperature=0.2)
    assert loss == 0  # without any, or with a positive and no negative
    loss.backward()
    assert slots.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.predictor.parameters())


def test_branch_compares_assignments_of_foreground_cells():
    branch = dict(type='DecouplingBranch', sample_ratio=0.5)
    model, batch = tiny_slotcon(decoupling=branch), two_crops()
    centre = torch.randn(1, 6)
    model.centre.copy_(centre)
    views = model.decoupling.compose(batch)
    features = model.dense_features(views.images)
    targets = torch.randn(8, 6, 4, 4)
    found = model.dense_loss(features, targets, views.foreground)
    keep = views.foreground.cells(4, 4)
    want = 0
    for sample in range(8):
        cells = []
        for row, column in keep[sample].nonzero().tolist():
            wanted = ((targets[sample, :, row, column] - centre[0]) / 0.07).softmax(dim=0)
            given = (features[sample, :, row, column] / 0.1).log_softmax(dim=0)
            cells.append(-(wanted * given).sum())
        want += sum(cells) / max(len(cells), 1) / 8
    torch.testing.assert_close(found, want)
    nothing = Foreground(torch.zeros_like(views.foreground.keep), 0.5)
    assert model.dense_loss(features, targets, nothing) == 0
    assert model.centre.equal(centre)


def test_branch_leaves_the_hosts_own_losses_and_centre():
    plain, host = tiny_slotcon(), tiny_slotcon(decoupling=dict(type='DecouplingBranch'))
    want, found = plain.loss(two_crops()), host.loss(two_crops())
    for name in want:
        assert found[name] == want[name] * 0.7
    for name, value in plain.named_buffers():
        assert value.equal(dict(host.named_buffers())[name]), name


def test_settings_and_batches_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match='group_weight is 2'):
        tiny_slotcon(group_weight=2)
    with pytest.raises(ValueError, match="SlotCon: the batch needs 'flip' of 2 views and has 0"):
        tiny_slotcon().loss(dict(two_crops(), flip=[]))


def host():
    branch = dict(type='DecouplingBranch')
    small = dict(type='SlotHead', in_channels=8, num_slots=2, temperature=0.07)
    return tiny_slotcon(**GROUPS, head=small, decoupling=branch).double()


def parts() -> dict[str, dict]:
    return {name: double(two_crops(4, seed=seed)) for name, seed in (('A', 11), ('B', 12))}


@pytest.mark.slow
def test_two_processes_equal_one_with_the_double_batch(tmp_path):
    model = host()
    train(model, merged(parts()), lr=0.1)
    rank = partial(train_rank, host=host, parts=parts, lr=0.1)
    check_equal(model, *found_by_two(rank, tmp_path))
