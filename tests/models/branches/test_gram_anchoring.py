"""Gram anchoring: published values, when the Gram teacher is taken, what it sees."""

import pytest
import torch
import torch.nn.functional as F

from mmdssl.models.branches.gram_anchoring import GramAnchoring, gram_loss, map_to_grid
from mmdssl.models.data_preprocessors import MultiViewPreprocessor
from tests.golden import Golden, assert_close
from tests.models.branches.test_branch import HOSTS, train
from tests.models.tiny import tiny_batch, tiny_ibot
from tests.models.tiny_maskalign import tiny_maskalign


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden3/gram_loss.npz'))


def patches(golden: Golden, name: str) -> torch.Tensor:
    return golden[name].double().requires_grad_()


def negatives(case: Golden) -> str:
    if case.number('cfg_remove_only_teacher_neg'):
        return 'clamp_teacher'
    return 'clamp' if case.number('cfg_remove_neg') else 'keep'


CASES = ('img', 'batch', 'img_nonorm', 'img_removeneg', 'img_removeteacherneg', 'batch_removeneg')


@pytest.mark.golden
@pytest.mark.parametrize('name', CASES)
def test_loss_and_gradient_equal_the_published_code(golden, name):
    case, student, teacher = (
        golden.sub(f'{name}/'),
        *(patches(golden, n) for n in ('student', 'teacher')),
    )
    settings = dict(normalise=bool(case.number('cfg_normalized')), negatives=negatives(case))
    rows = (student, teacher)
    if not case.number('cfg_img_level'):
        rows = tuple(x.flatten(0, 1) for x in rows)
    loss = gram_loss(*rows, **settings)
    loss.backward()
    assert_close(loss.detach(), case['loss_f64'], 1e-6, 'loss')
    assert_close(student.grad, case['grad_student_f64'], 1e-6, 'gradient')
    assert teacher.grad is None
    assert_close(gram_loss(*(x.float() for x in rows), **settings).detach(), case['loss'], 1e-5)


@pytest.mark.golden
def test_mean_is_the_papers_sum_over_its_number_of_pairs(golden):
    student, teacher = golden['student'].double(), golden['teacher'].double()
    wanted = golden['paper_frobenius_sq_per_image_f64'].mean() / student.shape[1] ** 2
    assert_close(gram_loss(student, teacher), wanted, 1e-6)
    summed = gram_loss(student, teacher, reduction='sum')
    assert_close(summed, golden['paper_frobenius_sq_per_image_f64'].mean(), 1e-6)


@pytest.mark.golden
@pytest.mark.parametrize('antialias', [False, True])
def test_a_larger_map_is_brought_to_the_grid_before_lengths_are_taken(golden, antialias):
    case = golden.sub(f'hires_antialias_{int(antialias)}/')
    large, student = golden['hires_teacher_map'].double(), patches(golden, 'student')
    small = map_to_grid(large, golden['cfg_grid'].tolist(), antialias=antialias)
    rows = small.flatten(2).transpose(1, 2)
    gram_loss(student, rows).backward()
    assert_close(F.normalize(rows, dim=2), F.normalize(case['teacher_patches_f64'], dim=2), 1e-5)
    assert_close(gram_loss(student, rows).detach(), case['loss_f64'], 1e-5)
    assert_close(student.grad, case['grad_student_f64'], 1e-5)


@pytest.mark.golden
@pytest.mark.parametrize('tokens', ['masked', 'unmasked'])
def test_chosen_patches_make_one_matrix(golden, tokens):
    """Through the branch itself, whose batch says which patches were masked."""
    student, teacher = patches(golden, 'student'), golden['teacher'].double()
    grid, mask = golden['cfg_grid'].tolist(), golden['mask']
    branch = GramAnchoring(tokens=tokens)
    loss = branch._loss(dict(mask=[mask.unflatten(1, grid)]), 0, student, teacher)
    loss.backward()
    assert_close(loss.detach(), golden[f'{tokens}/loss_f64'], 1e-6)
    assert_close(student.grad, golden[f'{tokens}/grad_student_f64'], 1e-6)


def test_no_patch_at_all_gives_zero_and_zero_gradients():
    student = torch.randn(0, 4, requires_grad=True)
    loss = gram_loss(student, torch.randn(0, 4))
    loss.backward()
    assert loss == 0


def test_loss_is_what_the_equation_says_for_both_nets():
    """Written out anew from the networks alone, for a host that has gone on."""
    model = tiny_ibot(branches=[dict(type='GramAnchoring', weight=2.0, scale=1)])
    batch = tiny_batch(size=4)
    train(model, batch, steps=2)
    model.clock.set(iteration=2, max_iterations=10)
    got = model(batch, mode='loss')['loss_gram']
    wanted = 0.0
    for view, mask in zip(batch['views'], batch['mask'], strict=True):
        student = model.backbone.forward_tokens(view, mask=mask)[:, 1:].double()
        anchor = model.branches['gram'].teacher.forward_tokens(view)[:, 1:].double()
        for one, other in zip(student, anchor, strict=True):
            for i in range(len(one)):
                for j in range(len(one)):
                    own, held = (F.cosine_similarity(x[i], x[j], dim=0) for x in (one, other))
                    wanted += ((own - held) ** 2 / len(one) ** 2 / 4 / 2 * 2.0).item()
    assert got.item() == pytest.approx(wanted, rel=1e-5)
    assert wanted > 1e-4


@pytest.mark.parametrize('name', HOSTS)
def test_the_gram_teacher_is_renewed_at_the_named_iterations(name):
    build, batch = HOSTS[name]
    rule = dict(teacher_from=1, start=1, refresh_every=2, refresh_start=3, refresh_times=2)
    model = build(branches=[dict(type='GramAnchoring', **rule)], momentum=(0.5, 0.5))
    gram = model.branches['gram'].teacher
    taken, before = [], None
    for step in range(10):
        present = {n: v.clone() for n, v in model.teacher.backbone.state_dict().items()}
        model.clock.set(iteration=step, max_iterations=10)
        train_one(model, batch(seed=step), step)
        state = dict(gram.named_parameters())
        if all(torch.equal(value, present[n]) for n, value in state.items()):
            taken.append(step)
        else:
            assert before is None or all(
                torch.equal(value, before[n]) for n, value in state.items()
            )
        before = {n: v.clone() for n, v in state.items()}
    assert taken == [1, 4, 6]


def train_one(model, batch, step):
    model.clock.set(iteration=step, max_iterations=10)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    sum(model(batch, mode='loss').values()).backward()
    optimizer.step()
    optimizer.zero_grad()
    model.update_teacher()


@pytest.mark.parametrize('name', HOSTS)
def test_a_run_that_is_taken_up_again_goes_on_bit_for_bit(name):
    """Weights alone carry the Gram teacher; when it is copied follows from the iteration."""
    build, batch = HOSTS[name]
    rule = dict(type='GramAnchoring', refresh_every=3, refresh_start=3)
    straight = build(branches=[rule])
    for step in range(5):
        train_one(straight, batch(seed=step), step)
        if step == 1:
            saved = {n: v.clone() for n, v in straight.state_dict().items()}
    resumed = build(branches=[rule])
    resumed.load_state_dict(saved)
    for step in range(2, 5):
        train_one(resumed, batch(seed=step), step)
    one, other = straight.state_dict(), resumed.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[n], saved[n]) for n in one if 'gram.teacher' in n)


def test_a_step_that_is_taken_back_leaves_the_gram_teacher_whole():
    """Buffers are put back then: this network, written between steps, has none."""
    build, _ = HOSTS['densecl']
    gram = build(branches=[dict(type='GramAnchoring')]).branches['gram']
    assert 'bn1.running_mean' in dict(gram.teacher.named_parameters())
    assert not any(buffer.is_floating_point() for buffer in gram.buffers())
    assert not any(p.requires_grad for p in gram.parameters())


def test_the_gram_teacher_sees_the_raw_crop_in_full_resolution():
    """Views of 64 px are shrunk to 32 for the student; the Gram teacher has all 64."""
    pixels = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    colour = dict(jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=1.0))
    preprocessor = MultiViewPreprocessor(policies=[colour, colour], keep_raw=True, student_size=32)
    inputs = preprocessor(dict(inputs=dict(views=[pixels, pixels])), training=True)['inputs']
    assert inputs['views'][0].shape[2:] == (32, 32)
    model = tiny_ibot(branches=[dict(type='GramAnchoring', sees='raw')])
    branch = model.branches['gram']
    got = branch.teacher_map(model, inputs, 0, (4, 4))
    plain = MultiViewPreprocessor()(dict(inputs=pixels))['inputs']
    large = branch.teacher(plain)[-1]
    assert large.shape[2:] == (8, 8)
    wanted = F.interpolate(large, (4, 4), mode='bicubic', align_corners=False)
    torch.testing.assert_close(got, wanted)


def test_a_view_that_is_not_given_so_large_is_enlarged():
    model = tiny_ibot(branches=[dict(type='GramAnchoring')])
    seen = []
    model.branches['gram'].teacher.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert model(tiny_batch(), mode='loss')['loss_gram'] > 0
    assert [tuple(images.shape[2:]) for images in seen] == [(64, 64)] * 2


def test_students_own_pass_serves_and_the_teacher_is_asked_once():
    """One pass of the Gram teacher for each view, none more of student or teacher."""
    plain, model = tiny_ibot(), tiny_ibot(branches=[dict(type='GramAnchoring')])
    counts = []
    for host in (plain, model):
        passes = []
        for net in (host.backbone, host.teacher.backbone):
            net.layers[0].register_forward_hook(lambda *_, passes=passes: passes.append(1))
        host(tiny_batch(), mode='loss')
        counts.append(len(passes))
    assert counts == [2, 2]


def test_a_host_whose_teacher_is_frozen_copies_the_student():
    branch = dict(type='GramAnchoring', scale=1)
    with pytest.raises(ValueError, match="set source='student'"):
        tiny_maskalign(branches=[branch])
    model = tiny_maskalign(branches=[dict(branch, source='student')])
    batch = dict(views=[torch.randn(2, 3, *model.backbone.img_size)])
    # In its first step the student is the Gram teacher.
    assert model(batch, mode='loss')['loss_gram'].item() == pytest.approx(0, abs=1e-8)


def test_a_file_is_read_instead(tmp_path):
    other = tiny_ibot()
    for parameter in other.parameters():
        parameter.data.add_(0.1)
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'run.pth')
    model = tiny_ibot(branches=[dict(type='GramAnchoring', checkpoint=str(tmp_path / 'run.pth'))])
    model(tiny_batch(), mode='loss')
    wanted = other.teacher.backbone.state_dict()
    assert all(
        torch.equal(v, wanted[n]) for n, v in model.branches['gram'].teacher.state_dict().items()
    )
    with pytest.raises(FileNotFoundError, match='no file'):
        tiny_ibot(branches=[dict(type='GramAnchoring', checkpoint=str(tmp_path / 'none.pth'))])


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(level='all'), "'image', 'batch'"),
        (dict(scale=0.5), 'scale is 0.5, give at least 1'),
        (dict(teacher_from=3), 'start=0 comes before teacher_from=3'),
        (dict(refresh_times=3), 'without refresh_every'),
        (dict(refresh_every=0), 'refresh_every is 0'),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GramAnchoring(**settings)


def test_what_the_batch_lacks_is_named():
    batch = tiny_batch()
    with pytest.raises(ValueError, match='keep_raw=True'):
        tiny_ibot(branches=[dict(type='GramAnchoring', sees='raw')]).loss(batch)
