"""PixPro's own contracts: pairs by place, propagation, the branch, settings."""

import copy

import pytest
import torch
import torch.nn.functional as F

from mmdssl.models.foreground import Foreground
from mmdssl.models.heads.pixel_propagation import PixelPropagation
from mmdssl.models.losses.matched_cosine import paired_cells_loss
from mmdssl.models.utils.cell_places import cell_distances, signed_boxes
from tests.models.tiny_resnet import place_batch, point_mlp, tiny_pixpro

BRANCH = dict(type='DecouplingBranch')


def some_boxes(count: int, seed: int) -> torch.Tensor:
    make = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=make, dtype=torch.float64) * 0.4
    side = 0.3 + torch.rand(count, 2, generator=make, dtype=torch.float64) * 0.3
    return torch.cat((corner, corner + side), dim=1)


def near(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return cell_distances(query, key, (4, 5)) < 0.7


# ---- pairs -------------------------------------------------------------------------------------


def test_pairs_are_mutual_and_follow_one_shift_and_scale_of_the_image():
    query, key = some_boxes(6, 0), some_boxes(6, 1)
    pairs = near(query, key)
    assert 0 < pairs.float().mean() < 0.5
    assert torch.equal(near(key, query), pairs.transpose(1, 2))
    shift = torch.tensor([0.3, -0.2] * 2)
    assert torch.equal(near(query * 3 + shift, key * 3 + shift), pairs)
    assert not near(query, key + 2).any()


def test_a_mirrored_view_with_a_mirrored_map_has_the_same_loss():
    query, key = some_boxes(6, 0), some_boxes(6, 1)
    y, z = torch.randn(2, 6, 8, 4, 5, dtype=torch.float64)
    plain = paired_cells_loss(y, z, near(query, key))
    mirrored = query[:, [2, 1, 0, 3]]
    assert torch.allclose(paired_cells_loss(y.flip(3), z, near(mirrored, key)), plain)
    assert not torch.allclose(paired_cells_loss(y, z, near(mirrored, key)), plain)


def test_equal_square_cells_that_agree_reach_the_lower_end():
    box = torch.tensor([[0.2, 0.2, 0.7, 0.7]])
    x = torch.randn(1, 8, 7, 7)
    pairs = cell_distances(box, box, (7, 7)) < 0.7
    assert torch.equal(pairs[0], torch.eye(49, dtype=torch.bool))  # 0.7071: no neighbour
    assert 2 * paired_cells_loss(x, x * 3, pairs).item() == pytest.approx(-4, abs=1e-6)


@pytest.mark.parametrize(('coords', 'width'), [('pixpro', 299 / 639), ('edge', 300 / 640)])
def test_conventions_differ_in_the_last_pixel(coords, width):
    crop = torch.tensor([[20.0, 0, 320, 480]], dtype=torch.float64)
    size, none = torch.tensor([[480, 640]]), torch.zeros(1, 2, dtype=torch.bool)
    box = signed_boxes(crop, none, size=size, convention=coords)
    assert box[0, 2] - box[0, 0] == pytest.approx(width, rel=1e-12)
    assert box[0, 3] == pytest.approx(1, rel=1e-12)


# ---- propagation -------------------------------------------------------------------------------


def test_cells_that_resemble_no_other_keep_to_themselves():
    """Orthogonal and opposed vectors."""
    head = PixelPropagation(channels=4).double()
    x = torch.zeros(1, 4, 2, 2, dtype=torch.float64)
    x[0, :, 0, 0] = torch.tensor([2.0, 0, 0, 0])
    x[0, :, 0, 1] = torch.tensor([-1.0, 0, 0, 0])
    x[0, :, 1, 0] = torch.tensor([0.0, 0, 3, 0])
    x[0, :, 1, 1] = torch.tensor([0.0, 5, 0, 0])
    torch.testing.assert_close(head(x), F.normalize(head.value(x), dim=1))


def test_a_large_power_leaves_the_own_cell():
    head = PixelPropagation(channels=8, power=2000.0).double()
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(head(x), F.normalize(head.value(x), dim=1))


def test_lengths_of_cells_play_no_part_without_a_transform():
    head = PixelPropagation(channels=8, layers=0)
    x, lengths = torch.randn(2, 8, 4, 4), torch.rand(2, 1, 4, 4) + 0.1
    torch.testing.assert_close(head(x * lengths), head(x))


def test_cells_gather_from_those_that_are_kept_only():
    head = PixelPropagation(channels=8)
    x, keep = torch.randn(2, 8, 4, 4), torch.rand(2, 4, 4) < 0.5
    other = torch.where(keep[:, None], x, torch.randn(2, 8, 4, 4))
    found, again = head(x, keep), head(other, keep)
    torch.testing.assert_close(found.transpose(0, 1)[:, keep], again.transpose(0, 1)[:, keep])
    assert not torch.allclose(head(x).transpose(0, 1)[:, keep], found.transpose(0, 1)[:, keep])


# ---- the branch --------------------------------------------------------------------------------


def test_the_branch_leaves_loss_and_batch_norm_bit_equal():
    plain, branched = tiny_pixpro(), tiny_pixpro(decoupling=BRANCH)
    assert plain.state_dict().keys() == branched.state_dict().keys()
    one, two = plain.loss(place_batch()), branched.loss(place_batch())
    assert torch.equal(one['loss_pixel'] * 0.7, two['loss_pixel'])
    after = dict(branched.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in plain.named_buffers())
    two['loss_decoupling'].backward()
    moved = [p.grad for p in branched.parameters() if p.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in moved)


def test_without_a_cut_the_branch_is_the_cosine_of_equal_cells():
    """X^D = X, all images: -2 mean cos(y_j, z_j) for each of both key views."""
    batch = place_batch()
    batch['dc_mask'] = [torch.zeros_like(mask) for mask in batch['dc_mask']]
    batch['views'] = [view.double() for view in batch['views']]
    model = tiny_pixpro(decoupling=dict(**BRANCH, sample_ratio=1.0)).double()
    # BatchNorm would tell one pass of both views from two of one each
    batch['views'][1] = batch['views'][0].clone()
    found = model.loss(batch)['loss_decoupling'] / 0.3
    other = copy.deepcopy(model)
    y = other.head(other.neck(other.backbone(batch['views'][0])))
    z = other.teacher.neck(other.teacher.backbone(batch['views'][0]))
    want = -2 * 2 * F.cosine_similarity(y, z, dim=1).mean()
    torch.testing.assert_close(found, want)


def test_the_branch_reads_foreground_cells_and_averages_over_samples():
    model = tiny_pixpro(decoupling=dict(**BRANCH, key_views=(0,))).double()
    x, z = torch.randn(2, 3, 8, 4, 4, dtype=torch.float64)
    keep = torch.rand(3, 4, 4) < 0.5
    keep[1] = False
    found = model.dense_loss(x, z, Foreground(keep, 0.5))
    y = model.head(x)
    each = [F.cosine_similarity(y[n], z[n], dim=0)[keep[n]].mean() for n in (0, 2)]
    torch.testing.assert_close(found, -2 * sum(each) / 3)


def test_scope_of_the_propagation_decides_what_reaches_the_loss():
    x, z = torch.randn(2, 3, 8, 4, 4)
    keep = torch.zeros(3, 4, 4, dtype=torch.bool)
    keep[:, :2] = True
    for scope, reached in (('all', True), ('foreground', False)):
        model = tiny_pixpro(decoupling=BRANCH, ppm_scope=scope)
        features = x.clone().requires_grad_()
        model.dense_loss(features, z, Foreground(keep, 0.5)).backward()
        assert features.grad[:, :, :2].abs().max() > 0
        assert (features.grad[:, :, 2:].abs().max() > 0).item() is reached


@pytest.mark.parametrize('scope', ['all', 'foreground'])
def test_a_view_that_is_cut_wholly_counts_as_zero(scope):
    batch = place_batch()
    batch['dc_mask'] = [torch.ones_like(mask) for mask in batch['dc_mask']]
    losses = tiny_pixpro(decoupling=BRANCH, ppm_scope=scope).loss(batch)
    assert losses['loss_decoupling'] == 0
    sum(losses.values()).backward()


def test_redrawn_key_views_pass_the_teacher_without_moving_its_statistics():
    model, images = tiny_pixpro(), place_batch()['views'][0]
    before = {name: value.clone() for name, value in model.teacher.named_buffers()}
    found = model.dense_targets(images, torch.zeros(1))
    assert all(torch.equal(before[name], value) for name, value in model.teacher.named_buffers())
    torch.testing.assert_close(found, model.teacher.neck(model.teacher.backbone(images)))


# ---- the rest ----------------------------------------------------------------------------------


def test_images_without_a_pair_count_as_zero_and_make_no_nan():
    batch = place_batch()
    batch['crop_box'][1] = batch['crop_box'][1] + 1000
    losses = tiny_pixpro().loss(batch)
    assert losses['loss_pixel'] == 0
    losses['loss_pixel'].backward()


def test_instance_branch_has_its_weight_and_a_teacher_of_its_own():
    parts = dict(instance_neck=point_mlp(32), instance_head=point_mlp(8))
    one, two = (tiny_pixpro(instance_weight=w, **parts) for w in (1.0, 0.25))
    found = one.loss(place_batch()), two.loss(place_batch())
    torch.testing.assert_close(found[1]['loss_instance'], found[0]['loss_instance'] * 0.25)
    torch.testing.assert_close(found[1]['loss_pixel'], found[0]['loss_pixel'])
    with torch.no_grad():
        one.instance_neck.mlp[0].weight.add_(1.0)
    before = one.teacher.instance_neck.mlp[0].weight.clone()
    one.update_teacher()
    assert not torch.equal(one.teacher.instance_neck.mlp[0].weight, before)
    assert not hasattr(one.teacher, 'instance_head')


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_losses_are_float32_under_autocast(dtype):
    exact = tiny_pixpro(decoupling=BRANCH).loss(place_batch())
    with torch.autocast('cpu', dtype=dtype):
        losses = tiny_pixpro(decoupling=BRANCH).loss(place_batch())
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(pos_ratio=0), 'pos_ratio is 0'),
        (dict(coords='pixel'), "coords is 'pixel'"),
        (dict(ppm_scope='none'), "ppm_scope is 'none'"),
        (dict(instance_weight=1.0), 'instance_weight is 1.0'),
        (dict(instance_neck=point_mlp(32)), 'instance_weight is 0.0'),
        (dict(head=dict(type='PixelPropagation', channels=8, layers=3)), 'layers is 3'),
        (dict(head=dict(type='PixelPropagation', channels=8, power=0)), 'power is 0'),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        tiny_pixpro(**change)


def test_a_batch_without_places_is_refused():
    batch = place_batch()
    del batch['ori_shape']
    with pytest.raises(ValueError, match='PixPro: the batch lacks ori_shape of two views'):
        tiny_pixpro().loss(batch)
    with pytest.raises(ValueError, match='two views'):
        tiny_pixpro().loss(dict(place_batch(), views=batch['views'][:1]))
