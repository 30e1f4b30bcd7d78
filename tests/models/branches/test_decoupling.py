"""The branch alone, with a recording host, and its refusals."""

import pytest
import torch

from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.models.decoupled_views import mix_pixels
from tests.models.tiny import tiny_batch, tiny_ibot


class RecordingHost:
    """Keeps what the branch hands it; its dense loss is the masked mean of |f - t|."""

    supports_patch_mixing = True
    further_objectives = ()

    def dense_features(self, images, **mixing):
        self.images, self.mixing = images, mixing
        return images.mean(1)  # (n, H, W)

    def dense_targets(self, images, reused):
        self.target_images = images
        return images.mean(1)

    def dense_loss(self, features, targets, foreground):
        self.features, self.targets, self.foreground = features, targets, foreground
        cells = foreground.cells(*features.shape[1:])
        return ((features - targets).abs() * cells).sum() / cells.sum()


def run(branch, batch, host=None):
    host = host or RecordingHost()
    targets = {view: images.mean(1) for view, images in enumerate(batch['views'][:2])}
    return branch(host, batch, targets), host


@pytest.mark.parametrize('views', [(0,), (1,), (0, 1)])
def test_foreground_of_the_decoupled_view_equals_the_key_view(views):
    batch = tiny_batch()
    branch = DecouplingBranch(key_views=views, sample_ratio=0.5)
    result, host = run(branch, batch)
    keys = torch.cat([batch['views'][s.view][s.index] for s in result.selections])
    backgrounds = torch.cat(
        [batch['views'][s.background_view][s.background_index] for s in result.selections]
    )
    keep = host.foreground.keep.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None]
    keep = keep.expand_as(keys)
    assert 0 < keep.float().mean() < 1
    assert torch.equal(host.images[keep], keys[keep])
    assert torch.equal(host.images[~keep], backgrounds[~keep])
    # The same pixels on both sides of the loss: it is exactly zero on the foreground.
    assert result.loss == 0


def test_targets_are_the_rows_of_the_chosen_key_views():
    batch = tiny_batch()
    result, host = run(
        DecouplingBranch(key_views=(0, 1), select='random', background='roll'), batch
    )
    wanted = torch.cat([batch['views'][s.view][s.index].mean(1) for s in result.selections])
    assert torch.equal(host.targets, wanted)


def test_patch_mixing_hands_over_images_background_and_mask():
    batch = tiny_batch()
    branch = DecouplingBranch(mix_level='patch_embed', key_views=(0, 1))
    result, host = run(branch, batch)
    assert torch.equal(
        host.images, torch.cat([batch['views'][s.view][s.index] for s in result.selections])
    )
    assert torch.equal(host.mixing['background_mask'], ~host.foreground.keep)
    assert host.mixing['detach_background'] is True


def test_mixing_at_patches_and_at_pixels_is_the_same_forward():
    """Patches do not overlap, so X^D is the same picture; only gradients differ."""
    batch = tiny_batch()
    losses = []
    for level in ('pixel', 'patch_embed'):
        model = tiny_ibot(decoupling=dict(type='DecouplingBranch', mix_level=level))
        losses.append(model.loss(batch)['loss_decoupling'])
    torch.testing.assert_close(*losses)


def test_redraw_reaches_the_student_only_or_both():
    batch = tiny_batch()
    batch['raw'] = batch['views']
    batch['recolor'] = lambda raw, view: raw * 2 ** (1 + view)  # exact in floating point
    for mode, teacher_sees_it in (('student', False), ('both', True), (True, True)):
        result, host = run(DecouplingBranch(reaugment=mode, key_views=(1,)), batch)
        (selection,) = result.selections
        key = batch['views'][1][selection.index]
        keep = host.foreground.keep.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None]
        keep = keep.expand_as(key)
        assert torch.equal(host.images[keep], (key * 4)[keep])
        if teacher_sees_it:
            assert torch.equal(host.target_images, key * 4)
        else:
            assert torch.equal(host.targets, key.mean(1))
            assert result.loss > 0


def test_combine_splits_as_the_weights_say():
    batch = tiny_batch()
    for rule, scale in (('additive', 1.0), ('convex', 0.8)):
        branch = DecouplingBranch(weight=0.2, loss_weighting=rule)
        result, _ = run(branch, batch)
        losses = branch.combine({'loss_a': torch.tensor(2.0), 'loss_b': torch.tensor(3.0)}, result)
        assert losses['loss_a'] == pytest.approx(2.0 * scale)
        assert losses['loss_b'] == pytest.approx(3.0 * scale)
        assert losses['loss_decoupling'] == result.loss * 0.2


def test_turning_random_choices_on_leaves_global_draws_alone():
    batch = tiny_batch()
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    run(DecouplingBranch(select='random', background='random'), batch)
    assert torch.equal(torch.rand(3), wanted)


def test_mask_brought_to_pixels_by_nearest_cell():
    images, other = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    mask = torch.zeros(1, 2, 2, dtype=torch.bool)
    mask[0, 0, 1] = True
    mixed = mix_pixels(images, other, mask)[0, 0]
    assert mixed[:4, 4:].eq(1).all()
    assert mixed.sum() == 16


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(weight=0), 'weight is 0'),
        (dict(weight=1.5), 'at most 1'),
        (dict(sample_ratio=0), 'sample_ratio is 0'),
        (dict(sample_ratio=1.1), 'sample_ratio is 1.1'),
        (dict(foreground_threshold=0), 'foreground_threshold'),
        (dict(complement_ratio=-0.1), 'complement_ratio'),
        (dict(loss_weighting='sum'), "'convex', 'additive'"),
        (dict(background='other'), "'flip', 'roll', 'random'"),
        (dict(detach=True), 'patch_embed'),
        (dict(key_views=()), 'distinct view indices'),
    ],
)
def test_impossible_settings_are_refused_at_build_time(settings, message):
    with pytest.raises(ValueError, match=message):
        DecouplingBranch(**settings)


@pytest.mark.parametrize(
    ('batch_size', 'settings', 'message'),
    [
        (1, dict(), 'no other image'),
        (3, dict(), 'at least 4'),
        (4, dict(mask_source='pool'), 'at least 8'),
        (2, dict(sample_ratio=0.1), 'at least 10'),
    ],
)
def test_a_batch_that_gives_no_sample_is_refused(batch_size, settings, message):
    with pytest.raises(ValueError, match=message):
        DecouplingBranch(**settings).check_batch_size(batch_size)


def test_host_without_patches_is_refused():
    host = RecordingHost()
    host.supports_patch_mixing = False
    with pytest.raises(ValueError, match="mix_level='pixel'"):
        DecouplingBranch(mix_level='patch_embed').check_host(host)


def test_missing_masks_and_views_are_named():
    batch = tiny_batch()
    del batch['dc_mask']
    with pytest.raises(ValueError, match="key='dc_mask'"):
        run(DecouplingBranch(), batch)
    with pytest.raises(ValueError, match='views'):
        run(DecouplingBranch(key_views=(0, 5)), tiny_batch())
    with pytest.raises(ValueError, match='keep_raw=True'):
        run(DecouplingBranch(reaugment='both'), tiny_batch())
