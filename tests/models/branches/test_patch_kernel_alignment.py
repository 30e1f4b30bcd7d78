"""Patch-kernel alignment: published values, crops that overlap, which passes it needs."""

import pytest
import torch

from mmdssl.models.branches.patch_kernel_alignment import (
    PatchKernelAlignment,
    kernel_alignment,
    kernel_alignment_loss,
    overlap_cells,
    shared_cells,
)
from tests.golden import Golden, assert_close
from tests.models.tiny import tiny_batch, tiny_ibot
from tests.models.tiny_resnet import tiny_densecl, two_views


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden3/paka_loss.npz'))


@pytest.mark.golden
@pytest.mark.parametrize('name', ['all', 'ignored'])
def test_loss_and_gradient_equal_the_published_code(golden, name):
    case, student = golden.sub(f'{name}/'), golden['student'].double().requires_grad_()
    settings = dict(eps=golden.number('cfg_eps'))
    if name == 'ignored':
        settings['counts'] = ~golden['ignore_mask']
    found = kernel_alignment(student, golden['teacher'].double(), **settings)
    loss = kernel_alignment_loss([found])
    loss.backward()
    assert_close(loss.detach(), case['loss_f64'], 1e-6)
    assert_close((1 - found[0])[found[1]].detach(), case['loss_per_image_f64'], 1e-6)
    assert_close(student.grad, case['grad_student_f64'], 1e-6, 'gradient')
    single = kernel_alignment(golden['student'], golden['teacher'], **settings)
    assert_close(kernel_alignment_loss([single]), case['loss'], 1e-5)


@pytest.mark.golden
def test_cells_that_are_all_alike_align_with_nothing(golden):
    teacher = golden['teacher']
    student = torch.ones_like(golden['student']).requires_grad_()
    loss = kernel_alignment_loss([kernel_alignment(student, teacher)])
    loss.backward()
    assert_close(loss.detach(), golden['constant_student_loss'])
    assert student.grad.isfinite().all()


@pytest.mark.golden
def test_shared_boxes_and_their_cells_equal_the_published_ones(golden):
    crops = (golden['pair_student_crop'], golden['pair_teacher_crop'])
    one, other, shared = overlap_cells(*crops, grids=golden['cfg_pair_grids_hw'].tolist())
    assert torch.equal(shared, golden['pair_overlaps'])
    assert_close(one, golden['pair_student_box'], 1e-8)
    assert_close(other, golden['pair_teacher_box'], 1e-8)
    cells = shared_cells(
        golden['roi_map'], golden['roi_boxes_xyxy'], golden['cfg_roi_out'].tolist()
    )
    assert_close(cells, golden['roi_out_f64'], 1e-6)


@pytest.mark.parametrize('width', [3, 40])
def test_rotation_scale_and_shift_of_all_cells_do_not_count(width):
    """Both for few channels and for more channels than cells."""
    make = torch.Generator().manual_seed(0)
    student = torch.randn(2, 10, width, generator=make, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(width, width, generator=make, dtype=torch.float64))
    teacher = 3 * student @ turn + torch.randn(width, generator=make, dtype=torch.float64)
    alignment, _ = kernel_alignment(student, teacher)
    torch.testing.assert_close(alignment, torch.ones_like(alignment))


@pytest.mark.parametrize('width', [3, 40])
def test_alignment_is_that_of_the_centred_kernels(width):
    make = torch.Generator().manual_seed(0)
    nets = [torch.randn(10, width + i, generator=make, dtype=torch.float64) for i in (0, 1)]
    centre = torch.eye(10, dtype=torch.float64) - 0.1
    one, other = (centre @ x @ x.T @ centre for x in nets)
    wanted = (one * other).sum() / one.norm() / other.norm()
    got, _ = kernel_alignment(*(x[None] for x in nets))
    torch.testing.assert_close(got[0], wanted)


def test_without_a_usable_image_the_loss_is_zero_with_gradients():
    student = torch.randn(2, 4, 3, requires_grad=True)
    counts = torch.tensor([[True, False, False, False]] * 2)
    loss = kernel_alignment_loss([kernel_alignment(student, torch.randn(2, 4, 3), counts=counts)])
    loss.backward()
    assert loss == 0
    assert not student.grad.any()


def passes(host, batch) -> tuple[int, int]:
    """Of student and teacher, in one step."""
    counts = [0, 0]
    for place, net in enumerate((host.backbone, host.teacher.backbone)):
        first = net.layers[0] if hasattr(net, 'layers') else net.layer1

        def count(*_, place=place):
            counts[place] += 1

        first.register_forward_hook(count)
    host.loss(batch)
    return counts[0], counts[1]


def test_ibot_compares_its_own_passes():
    model = tiny_ibot(branches=[dict(type='PatchKernelAlignment', weight=2.0)])
    batch = tiny_batch(size=4)
    for parameter in model.teacher.parameters():
        parameter.data.mul_(1 + 0.3 * torch.rand_like(parameter))
    got = model.loss(batch)['loss_patch_kernel']
    parts = []
    for view, mask in zip(batch['views'], batch['mask'], strict=True):
        one = model.backbone.forward_tokens(view, mask=mask)[:, 1:]
        parts.append(kernel_alignment(one, model.teacher.backbone.forward_tokens(view)[:, 1:]))
    torch.testing.assert_close(got, 2 * kernel_alignment_loss(parts))
    assert got > 1e-3
    assert passes(model, batch) == passes(tiny_ibot(), batch)


def test_a_teacher_may_see_the_colours_as_they_were():
    model = tiny_ibot(branches=[dict(type='PatchKernelAlignment', sees='raw', views=(1,))])
    batch = tiny_batch(size=4)
    batch.update(raw=[x * 2 for x in batch['views']], normalise=lambda raw: raw - 1)
    got = model.loss(batch)['loss_patch_kernel']
    student = model.backbone.forward_tokens(batch['views'][1], mask=batch['mask'][1])[:, 1:]
    taught = model.teacher.backbone.forward_tokens(2 * batch['views'][1] - 1)[:, 1:]
    torch.testing.assert_close(got, kernel_alignment_loss([kernel_alignment(student, taught)]))
    assert passes(model, batch) == (1, 2)


def test_densecl_needs_one_more_pass_of_the_student_and_none_of_the_teacher():
    """Query and key view differ: the student sees the key view for the branch, and forgets it."""
    model = tiny_densecl(branches=[dict(type='PatchKernelAlignment')])
    batch = two_views()
    plain = tiny_densecl()
    assert passes(plain, batch) == (1, 1)
    assert passes(model, batch) == (2, 1)
    assert torch.equal(model.backbone.bn1.running_mean, plain.backbone.bn1.running_mean)


def overlapping(batch: dict, *, flip: bool = False) -> dict:
    """Both views are crops of one picture: the second shows the left half of the first, wider."""
    size = len(batch['views'][0])
    box = torch.tensor([[0.0, 0.0, 32.0, 32.0]], dtype=torch.float64).expand(size, 4)
    flips = torch.tensor([[flip, False]]).expand(size, 2)
    return dict(batch, crop_box=[box] * 2, flip=[flips, torch.zeros(size, 2, dtype=torch.bool)])


def test_crops_that_overlap_need_no_further_pass_of_any_net():
    model = tiny_densecl(branches=[dict(type='PatchKernelAlignment', pairs='overlap')])
    assert passes(model, overlapping(two_views())) == (1, 1)


def test_a_crop_compared_with_its_mirror_image_is_turned_back():
    """One picture, plain for the teacher and mirrored for the student: cells meet their own."""
    branch = PatchKernelAlignment(pairs='overlap')
    maps = torch.randn(3, 5, 4, 4)
    batch = overlapping(dict(views=[torch.zeros(3, 3, 32, 32)] * 2), flip=True)
    student, teacher, inside = branch._overlap(batch, maps.flip(3), maps, (0, 1))
    torch.testing.assert_close(student, teacher)
    torch.testing.assert_close(student, maps.flatten(2).transpose(1, 2))
    assert inside.all()


def test_a_crop_inside_another_meets_the_cells_that_show_the_same():
    """The student's crop is the lower right quarter of the teacher's."""
    branch = PatchKernelAlignment(pairs='overlap')
    rows = torch.arange(8.0)
    large = (10 * rows[:, None] + rows).expand(1, 1, 8, 8)
    box = torch.tensor([[[40.0, 40.0, 80.0, 80.0]], [[0.0, 0.0, 80.0, 80.0]]])
    batch = dict(crop_box=list(box), flip=[torch.zeros(1, 2, dtype=torch.bool)] * 2)
    small, cells, inside = branch._overlap(batch, large[:, :, 4:, 4:], large, (0, 1))
    assert inside.tolist() == [True]
    torch.testing.assert_close(cells[0, :, 0], large[0, 0, 4:, 4:].flatten())
    torch.testing.assert_close(small[0, :, 0], large[0, 0, 4:, 4:].flatten())
    _, _, inside = branch._overlap(batch, large, large[:, :, 4:, 4:], (1, 0))
    assert inside.tolist() == [False]  # a quarter of it lies inside


def test_local_crops_of_ibot_learn_from_the_globals_that_contain_them():
    model = tiny_ibot(branches=[dict(type='PatchKernelAlignment', pairs='overlap')])
    batch = tiny_batch(size=4, local=1)
    whole, part = torch.tensor([[0.0, 0, 64, 64]]), torch.tensor([[16.0, 16, 48, 48]])
    boxes = [whole, whole + 100, part]  # only the first global contains the local crop
    batch['crop_box'] = [box.double().expand(4, 4) for box in boxes]
    batch['flip'] = [torch.zeros(4, 2, dtype=torch.bool)] * 3
    got = model.loss(batch)['loss_patch_kernel']
    local = model.backbone.forward_tokens(batch['views'][2])[:, 1:]
    taught = model.teacher.backbone(batch['views'][0])[-1]
    cells = shared_cells(taught, torch.tensor([[1.0, 1, 3, 3]]).expand(4, 4), (2, 2))
    wanted = kernel_alignment_loss([kernel_alignment(local, cells)])
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_part_of_the_cells_is_drawn_anew_each_step_and_alike_for_both_nets():
    branch = PatchKernelAlignment(max_cells=4)
    maps = torch.randn(2, 3, 4, 4)
    found = {
        branch._pair(None, {}, maps, maps[:, :2], (0, 0), step)[0][0].item() for step in range(4)
    }
    assert len(found) == 4
    alignment, _ = branch._pair(None, {}, maps, 2 * maps, (0, 0), 0)
    torch.testing.assert_close(alignment, torch.ones(2))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(pairs='all'), "'same', 'overlap'"),
        (dict(containment=2), 'containment is 2'),
        (dict(max_cells=1), 'max_cells is 1'),
        (dict(student_views=(0,)), "pairs='overlap' only"),
        (dict(head=dict(width=3)), r"unknown settings \['width'\]"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PatchKernelAlignment(**settings)


def test_what_the_batch_lacks_is_named():
    model = tiny_ibot(branches=[dict(type='PatchKernelAlignment', pairs='overlap')])
    with pytest.raises(ValueError, match="add 'crop_box' to the keys of PackViews"):
        model.loss(tiny_batch())
