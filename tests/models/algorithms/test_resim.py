"""ReSim's own contracts: windows that count, negatives, the branch, the C4 form."""

import pytest
import torch
import torch.nn.functional as F

from mmdssl.models.algorithms.resim import WINDOWS
from mmdssl.models.foreground import Foreground
from mmdssl.models.utils.windows import grid_windows, window_means
from tests.models.tiny_resnet import tiny_resim, window_batch

BRANCH = dict(type='DecouplingBranch')
SIDE, SCALES = 128, {'c4': 8 / 128, 'c3': 16 / 128}


def nce(query: torch.Tensor, key: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Of one unit vector, negatives (K, D)."""
    own = query @ key / 0.2
    return torch.cat((own[None], negatives @ query / 0.2)).logsumexp(0) - own


def means_of(maps: torch.Tensor) -> torch.Tensor:
    """Unit 3x3 means, one by one (N * (h - 2) * (w - 2), C)."""
    rows = [
        maps[n, :, r : r + 3, c : c + 3].mean(dim=(1, 2))
        for n in range(len(maps))
        for r in range(maps.shape[2] - 2)
        for c in range(maps.shape[3] - 2)
    ]
    return F.normalize(torch.stack(rows), dim=1)


def test_window_losses_are_those_of_windows_found_one_by_one():
    batch = window_batch(4)
    batch['views'] = [view.double() for view in batch['views']]
    model = tiny_resim().double()
    query = model._see(model.backbone, model.neck, model.head, batch['views'][0])
    teacher = model.teacher
    key = model._see(teacher.backbone, teacher.neck, teacher.head, batch['views'][1])
    found = model.loss(batch)
    for level, mine, theirs in zip(('c4', 'c3'), query.levels, key.levels, strict=True):
        size, stride = WINDOWS[level]
        negatives, losses, scale = means_of(theirs), [], SCALES[level]
        for n in range(4):
            (qx1, qy1, qx2, qy2), (kx1, ky1, kx2, ky2) = (b[n].tolist() for b in batch['crop_box'])
            if batch['flip'][0][n, 0]:  # the picture from the other side
                qx1, qx2, kx1, kx2 = 60 - qx2, 60 - qx1, 60 - kx2, 60 - kx1
            for y in range(0, SIDE - size, stride):
                for x in range(0, SIDE - size, stride):
                    ends = []
                    for pixel in (x, x + size):
                        place = qx1 + pixel * (qx2 - qx1) / SIDE
                        ends.append((place - kx1) / (kx2 - kx1) * SIDE)
                    for pixel in (y, y + size):
                        place = qy1 + pixel * (qy2 - qy1) / SIDE
                        ends.append((place - ky1) / (ky2 - ky1) * SIDE)
                    if min(ends[0], ends[2]) < 0 or max(ends[1], ends[3]) >= SIDE:
                        continue
                    places = ([x, y, x + size, y + size], [ends[0], ends[2], ends[1], ends[3]])
                    vectors = [
                        F.normalize(
                            window_means(
                                maps[n, None],
                                torch.tensor([[place]], dtype=torch.float64),
                                scale=(scale, scale),
                            )[0, 0],
                            dim=0,
                        )
                        for maps, place in ((mine, places[0]), (theirs, places[1]))
                    ]
                    losses.append(nce(*vectors, negatives))
        assert 4 < len(losses) < 4 * len(grid_windows(SIDE, SIDE, size=size, stride=stride))
        torch.testing.assert_close(found[f'loss_{level}'], torch.stack(losses).mean())


def test_a_batch_without_a_common_window_has_no_window_loss_and_makes_no_nan():
    batch = window_batch()
    batch['crop_box'][1] = batch['crop_box'][1] + 1000
    losses = tiny_resim(decoupling=BRANCH).loss(batch)
    assert losses['loss_c4'] == losses['loss_c3'] == 0
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()


def test_the_branch_leaves_losses_queue_and_batch_norm_bit_equal():
    plain, branched = tiny_resim(), tiny_resim(decoupling=BRANCH)
    assert plain.state_dict().keys() == branched.state_dict().keys()
    one, two = plain.loss(window_batch()), branched.loss(window_batch())
    assert two.keys() - one.keys() == {'loss_decoupling'}
    for name, loss in one.items():
        assert torch.equal(loss * 0.7, two[name])
    after = dict(branched.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in plain.named_buffers())
    two['loss_decoupling'].backward()
    parts = (branched.backbone, branched.head)
    gradients = [p.grad for part in parts for p in part.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_the_branch_compares_windows_of_box_and_foreground():
    """Recomputed window by window; weights are the kept shares of the cells of each level."""
    model, batch = tiny_resim(decoupling=BRANCH, min_kept=0.4).double(), window_batch(4)
    batch['views'] = [view.double() for view in batch['views']]
    model.loss(batch)
    negatives = [keys.T for keys in model._negatives]
    images, targets = batch['views'][1][:3], model._teach(batch['views'][1][:3]).levels
    keep = ~batch['dc_mask'][0][:3]
    keep[1] = False
    found = model.dense_loss(model.dense_features(images), targets, Foreground(keep, 0.5))
    maps, _ = model.dense_features(images)
    total, counted = 0.0, 0
    for index, level in enumerate(('c4', 'c3')):
        size, stride = WINDOWS[level]
        scale, cells = SCALES[level], maps[index].shape[2]
        windows = grid_windows(SIDE, SIDE, size=size, stride=stride)
        for n in (0, 2):
            share = keep[n].double().view(cells, SIDE // cells, cells, SIDE // cells)
            share = share.mean(dim=(1, 3))[None]
            losses = []
            for window in windows[None].split(1, dim=1):
                kept = window_means(share[None], window, scale=(scale, scale)).item()
                if kept < 0.4:
                    continue
                mine = window_means(
                    maps[index][n, None] * share[None], window, scale=(scale, scale)
                )
                theirs = window_means(targets[index][n, None], window, scale=(scale, scale))
                vectors = [F.normalize(x[0, 0], dim=0) for x in (mine / kept, theirs)]
                losses.append(nce(*vectors, negatives[index]))
            counted += len(losses)
            total = total + torch.stack(losses).mean() / 3
    assert counted < 2 * (9 + 16)
    torch.testing.assert_close(found, total)


def test_a_view_that_is_cut_wholly_counts_as_zero():
    batch = window_batch()
    batch['dc_mask'] = [torch.ones_like(mask) for mask in batch['dc_mask']]
    losses = tiny_resim(decoupling=BRANCH).loss(batch)
    assert losses['loss_decoupling'] == 0
    sum(losses.values()).backward()


def test_the_c4_form_has_one_level_and_no_pyramid():
    model = tiny_resim(levels=('c4',), decoupling=BRANCH)
    assert {name.split('.')[0] for name in model.head.state_dict()} == {'lateral4'}
    losses = model.loss(window_batch())
    assert losses.keys() == {'loss_image', 'loss_c4', 'loss_decoupling'}
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.head.parameters())


def test_the_sum_before_the_last_convolution_is_passed_down():
    model = tiny_resim().double()
    maps = model.backbone(window_batch(2)['views'][0].double())
    upper, lower = model.head(maps)
    with torch.no_grad():
        model.head.output4.weight.mul_(3)
    again = model.head(maps)
    assert not torch.equal(again[0], upper)
    assert torch.equal(again[1], lower)
    # double size by repetition of cells
    fifth = model.head.lateral5(maps[2]).repeat_interleave(2, 2).repeat_interleave(2, 3)
    fourth = model.head.lateral4(maps[1]) + fifth
    third = model.head.lateral3(maps[0])
    third = third + fourth.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(model.head.output3(third), lower)


def test_check_data_fits_the_queue():
    model = tiny_resim(queue_length=65536)
    model.check_data(batch_size=8, num_images=30)
    assert model.queue.length == 24


def test_redrawn_key_views_pass_the_teacher_without_moving_its_statistics():
    model, images = tiny_resim(), window_batch(2)['views'][0]
    before = {name: value.clone() for name, value in model.teacher.named_buffers()}
    found = model.dense_targets(images, None)
    assert all(torch.equal(before[name], value) for name, value in model.teacher.named_buffers())
    for one, two in zip(found, model._teach(images).levels, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_losses_are_float32_under_autocast(dtype):
    exact = tiny_resim(decoupling=BRANCH).loss(window_batch(4))
    with torch.autocast('cpu', dtype=dtype):
        losses = tiny_resim(decoupling=BRANCH).loss(window_batch(4))
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], rtol=0.05, atol=0.05)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match='min_kept is 0'):
        tiny_resim(min_kept=0)
    pyramid = dict(type='WindowPyramid', in_channels=(8,), levels=('c4', 'c3'))
    with pytest.raises(ValueError, match=r'in_channels=\(8,\)'):
        tiny_resim(head=pyramid)
    with pytest.raises(ValueError, match=r"levels is \('c3',\)"):
        tiny_resim(head=dict(pyramid, levels=('c3',)))
    batch = window_batch(2)
    with pytest.raises(ValueError, match='two views'):
        tiny_resim().loss(dict(batch, views=batch['views'][:1]))
    with pytest.raises(ValueError, match='32 x 32 pixels has no room for a window of 48 px'):
        tiny_resim().loss(window_batch(4, side=32))
    del batch['flip']
    with pytest.raises(ValueError, match='ReSim: the batch lacks flip of two views'):
        tiny_resim().loss(batch)
