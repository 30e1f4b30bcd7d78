"""PLRC: invariants of its losses, memory, the branch, the moving teacher, two processes."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from mmdssl.models.algorithms.plrc import PLRC
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses import point_distillation
from mmdssl.models.losses.point_distillation import (
    PointMaps,
    distil_pairs,
    distil_rows,
    kept_pairs,
    upsampling,
)
from mmdssl.models.losses.region_contrast import foreign_info_nce, region_contrast
from tests.models.algorithms.double_batch import ORDER, check_equal, merged, train, train_rank
from tests.models.tiny_plrc import GRID, three_crops, tiny_plrc
from tests.ranks import found_by_two

TEMPERATURES = dict(student_temperature=0.1, teacher_temperature=0.05)


@pytest.mark.parametrize(('points', 'images'), [(1, 2), (3, 4)])
def test_contrast_of_equal_vectors(points, images):
    one = F.normalize(torch.ones(images, points, 5, dtype=torch.float64), dim=2)
    want = 0.2 / 0.07 * math.log(2 * points * images - 1)
    assert region_contrast(one, one).item() == pytest.approx(want)


def test_negatives_of_the_own_image_are_as_if_they_stood_in_the_sum():
    make = torch.Generator().manual_seed(0)
    query, key, more = (
        F.normalize(torch.randn(2, n, 4, generator=make).double(), dim=2) for n in (2, 2, 3)
    )
    found = region_contrast(query, key, negatives=more)
    rows = torch.cat((query, key), dim=1)
    want = 0
    for image in range(2):
        for a in range(4):
            others = [rows[i, b] for i in range(2) for b in range(4) if (i, b) != (image, a)]
            sums = sum((rows[image, a] @ x / 0.2).exp() for x in [*others, *more[image]])
            positives = [rows[image, b] for b in range(4) if b != a]
            want += sum(sums.log() - rows[image, a] @ p / 0.2 for p in positives) / 3 / 8
    torch.testing.assert_close(found, want * 0.2 / 0.07)


def test_points_of_the_own_image_are_no_negatives_of_the_branch():
    make = torch.Generator().manual_seed(0)
    negatives = F.normalize(torch.randn(3, 2, 4, generator=make), dim=2)
    query, positive = F.normalize(torch.randn(2, 2, 4, generator=make), dim=2)
    image = torch.tensor([2, 0])
    found = foreign_info_nce(query, positive, negatives, image, 0.2)
    for row in range(2):
        others = torch.cat([negatives[i] for i in range(3) if i != image[row]])
        logits = torch.cat((positive[row : row + 1], others)) @ query[row] / 0.2
        torch.testing.assert_close(found[row], logits.logsumexp(0) - logits[0])


def test_distillation_has_the_teachers_entropy_for_its_floor():
    teacher = torch.randn(6, 9, dtype=torch.float64)
    centre = torch.zeros(1, 9, dtype=torch.float64)
    student = teacher * (0.1 / 0.05)  # the same softmax
    p = (teacher / 0.05).softmax(dim=1)
    entropy = -(p * (teacher / 0.05).log_softmax(dim=1)).sum(dim=1)
    torch.testing.assert_close(distil_rows(student, teacher, centre, **TEMPERATURES), entropy)
    other = student + torch.randn_like(student)
    assert (distil_rows(other, teacher, centre, **TEMPERATURES) > entropy).all()


def test_the_centre_after_one_call_is_a_tenth_of_the_mean():
    model = tiny_plrc()
    rows = torch.randn(7, model.centre.shape[1])
    model._move_centre(rows.sum(dim=0), 7)
    torch.testing.assert_close(model.centre[0], 0.1 * rows.mean(dim=0))
    before = model.centre.clone()
    model._move_centre(torch.zeros(model.centre.shape[1]), 0)  # no pair anywhere
    assert model.centre.equal(before)


def pair_case(size: int, images: int = 3):
    make = torch.Generator().manual_seed(0)

    def maps(width: int) -> torch.Tensor:
        return torch.randn(images, 16, width, generator=make).double()

    student = PointMaps(maps(5).requires_grad_(), maps(6).requires_grad_())
    teacher = PointMaps(maps(5), maps(6))
    enlarge = upsampling((4, 4), size, like=teacher.scores)
    key = enlarge @ maps(5)
    centre = torch.randn(1, size**2 + 6, generator=make).double()
    mask = torch.rand(images, size**2, size**2, generator=make) < 0.02
    return student, teacher, key, mask, enlarge, centre


def test_pairs_by_the_piece_equal_whole_matrices(monkeypatch):
    """Maps are upsampled, all rows are held: what the release does."""
    student, teacher, key, mask, enlarge, centre = pair_case(6)
    image, i, j = mask.nonzero(as_tuple=True)

    def whole(maps: PointMaps) -> torch.Tensor:
        grown = [
            F.interpolate(x.transpose(1, 2).unflatten(2, (4, 4)), (6, 6), mode='bilinear').flatten(
                2
            )
            for x in maps
        ]
        affinities = grown[0].transpose(1, 2) @ key.transpose(1, 2)
        return torch.cat((affinities, grown[1].transpose(1, 2)), dim=2)

    wanted = whole(teacher)[image, j]
    want = distil_rows(whole(student)[image, i], wanted, centre, **TEMPERATURES).sum()
    slopes = torch.autograd.grad(want, student)
    monkeypatch.setattr(point_distillation, '_ENTRIES', 3 * centre.shape[1])  # three rows
    pairs = kept_pairs(mask, None, torch.Generator())
    found, rows, count = distil_pairs(student, teacher, key, pairs, enlarge, centre, **TEMPERATURES)
    torch.testing.assert_close(found, want)
    torch.testing.assert_close(rows, wanted.sum(dim=0))
    assert count == mask.sum()
    for one, other in zip(torch.autograd.grad(found, student), slopes, strict=True):
        torch.testing.assert_close(one, other)


def test_what_is_kept_for_the_backward_pass_does_not_grow_with_the_pairs():
    """Rows of 4096 + 3136 entries of 139 000 pairs would be 4 GB, several times."""
    student, teacher, key, _, enlarge, centre = pair_case(6)
    kept = {}
    for pairs in (20, 400):
        chosen = [torch.randint(36, (pairs, 2)) for _ in range(3)]
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: sizes.append(x.numel() if x.dtype.is_floating_point else 0) or x,
            lambda x: x,
        ):
            distil_pairs(student, teacher, key, chosen, enlarge, centre, **TEMPERATURES)
        kept[pairs] = sum(sizes)
    assert kept[400] == kept[20]


def test_a_cap_takes_a_random_choice_of_the_pairs_of_an_image():
    mask = torch.rand(2, 36, 36) < 0.1
    every = [{tuple(pair) for pair in rows.tolist()} for rows in kept_pairs(mask, None, None)]
    draws = [kept_pairs(mask, 10, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    for rows, whole in zip(draws[0], every, strict=True):
        assert len({tuple(pair) for pair in rows.tolist()} & whole) == 10
    assert all(one.equal(other) for one, other in zip(draws[0], draws[1], strict=True))
    assert not all(one.equal(other) for one, other in zip(draws[0], draws[2], strict=True))


def test_a_capped_step_reads_that_many_pairs(monkeypatch):
    seen = []
    original = point_distillation.distil_pairs

    def counted(*args, **kwargs):
        found = original(*args, **kwargs)
        seen.append(found[2])
        return found

    monkeypatch.setattr('mmdssl.models.algorithms.plrc.distil_pairs', counted)
    for most in (None, 5):
        tiny_plrc(max_pairs_per_image=most).loss(three_crops())
    assert seen[0] > 8 * 5 >= seen[1] > 0


@pytest.mark.parametrize('affinity', ['official', 'cosine', 'off'])
def test_affinities_are_of_the_size_named(affinity, monkeypatch):
    model = tiny_plrc(affinity=affinity)
    wide = GRID**2 if affinity != 'off' else 0
    assert model.centre.shape == (1, wide + 12)
    model.loss(three_crops())['loss_distill'].backward()
    largest = model.centre[:, :wide].abs().max() if wide else None
    if affinity == 'official':
        assert largest < 0.1 / 128
    elif affinity == 'cosine':
        assert 1e-3 < largest <= 0.1
    trained = [p for p in model.head.parameters() if p.requires_grad]
    assert all(p.grad.isfinite().all() for p in trained)


def test_views_without_a_pair_leave_a_finite_step():
    batch = three_crops()
    batch['crop_box'][1] = batch['crop_box'][0] + 500
    losses = tiny_plrc().loss(batch)
    assert losses['loss_distill'] == 0
    sum(losses.values()).backward()


def test_the_partner_is_judged_before_and_the_key_after_the_teacher_moves():
    model = tiny_plrc(momentum=(0.5, 0.5))
    with torch.no_grad():
        for parameter in model.teacher.parameters():
            parameter.mul_(1.1)
    before = {k: v.clone() for k, v in model.teacher.named_parameters()}
    seen = []
    model._teach = lambda images, teach=model._teach: (
        seen.append({k: v.clone() for k, v in model.teacher.named_parameters()}),
        teach(images),
    )[1]
    model.loss(three_crops())
    student = dict(model.named_parameters())
    for name, value in before.items():
        assert seen[0][name].equal(value)
        torch.testing.assert_close(seen[1][name], 0.5 * value + 0.5 * student[name])
    model.update_teacher()  # the hook's call moves nothing more
    assert all(v.equal(seen[1][k]) for k, v in model.teacher.named_parameters())
    assert len(model.written_parameters()) == len(before)


def test_branch_adds_both_dense_losses_at_equal_cells():
    model, batch = tiny_plrc(decoupling=dict(type='DecouplingBranch')), three_crops()
    model.loss(batch)
    centre = model.centre.clone()
    views = model.decoupling.compose(batch)
    count = len(views.images)
    features = model.dense_features(views.images)
    make = torch.Generator().manual_seed(0)
    vectors = F.normalize(torch.randn(count, 8, 4, 4, generator=make), dim=1)
    scores = torch.randn(count, 12, 4, 4, generator=make)
    image = torch.arange(8 - count, 8)
    found = model.dense_loss(
        features, dict(vectors=vectors, scores=scores, image=image), views.foreground
    )
    keep, want = views.foreground.cells(4, 4), 0
    for sample in range(count):
        cells = []
        for row, column in keep[sample].nonzero().tolist():
            at = (sample, slice(None), row, column)
            q = ((scores[at] - centre[0, GRID**2 :]) / 0.04).softmax(dim=0)
            distilled = -(q * (features['scores'][at] / 0.1).log_softmax(dim=0)).sum()
            rest = [model._step_points[i] for i in range(8) if i != image[sample]]
            logits = torch.cat([vectors[at][None], *rest]) @ features['vectors'][at] / 0.2
            contrast = (logits.logsumexp(0) - logits[0]) * 0.2 / 0.07
            cells.append(0.3 * distilled + 0.3 * contrast)
        want += sum(cells) / max(len(cells), 1) / count
    torch.testing.assert_close(found, want)
    nothing = Foreground(torch.zeros_like(views.foreground.keep), 0.5)
    targets = dict(vectors=vectors, scores=scores, image=image)
    assert model.dense_loss(features, targets, nothing) == 0
    assert model.centre.equal(centre)


def test_branch_leaves_the_hosts_own_losses_and_buffers():
    plain, host = tiny_plrc(), tiny_plrc(decoupling=dict(type='DecouplingBranch'))
    want, found = plain.loss(three_crops()), host.loss(three_crops())
    for name in want:
        assert found[name] == want[name] * 0.7
    for name, value in plain.named_buffers():
        assert value.equal(dict(host.named_buffers())[name]), name


def test_negatives_of_the_own_image_have_to_be_in_the_batch():
    model = tiny_plrc(intra_image_negatives=True)
    with pytest.raises(ValueError, match='set num_points and num_other_regions of RegionPoints'):
        model.loss(three_crops())
    more = model.loss(three_crops(others=2))['loss_contrast']
    assert more > tiny_plrc().loss(three_crops(others=2))['loss_contrast']


def test_settings_and_batches_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="release_quirks is 'flips', choose one of"):
        tiny_plrc(release_quirks=('flips',))
    with pytest.raises(ValueError, match="PLRC: the batch needs 'ori_shape' of 3 views and has 0"):
        tiny_plrc().loss(dict(three_crops(), ori_shape=[]))


class Apart(PLRC):
    """Contrasts the points of each half of a double batch alone, as its processes do."""

    halves: list[list[int]] = []

    def _contrast_points(self, query, key, points):
        if not self.halves:
            return super()._contrast_points(query, key, points)
        losses, kept = [], query.cells.new_empty(len(query.cells), self.num_points, 8)
        for half in self.halves:
            parts = [type(one)(*(x[half] for x in one)) for one in (query, key)]
            losses.append(super()._contrast_points(*parts, [x[half] for x in points]))
            kept[half] = self._step_points
        self._step_points = kept
        return sum(losses) / len(losses)


def host(halves=()) -> PLRC:
    norm = dict(type='GN', num_groups=2)
    model = tiny_plrc(norm=norm, queue_length=24, distill_grid=4, affinity='cosine').double()
    model.__class__ = Apart
    model.halves = list(halves)
    return model


def parts() -> dict[str, dict]:
    found = {}
    for name, seed in (('A', 11), ('B', 12)):
        batch = three_crops(4, seed=seed)
        # Equal numbers of pairs: a process takes the mean over its own.
        batch['crop_box'] = [batch['crop_box'][0]] * 3
        batch['flip'] = [batch['flip'][0]] * 3
        found[name] = dict(batch, views=[view.double() for view in batch['views']])
    return found


@pytest.mark.slow
def test_two_processes_equal_one_with_the_double_batch(tmp_path):
    halves = [[ORDER.index((name, i)) for i in range(4)] for name in 'AB']
    model = host(halves)
    train(model, merged(parts()), lr=0.05)
    rank = partial(train_rank, host=host, parts=parts, lr=0.05)
    check_equal(model, *found_by_two(rank, tmp_path))
