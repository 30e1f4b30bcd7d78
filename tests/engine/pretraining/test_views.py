"""One size of views, wherever it is stated."""

import pytest

from mmdssl.registry import DATASETS
from tests.engine.pretraining.photos import GPU, photos, resolved


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return photos(tmp_path_factory.mktemp('data') / 'photos', 8)


def sample(config):
    """What the first image becomes."""
    return DATASETS.build(config.train_dataloader.dataset)[0]['inputs']


def test_masks_and_tables_follow_the_views(folder, tmp_path):
    found = resolved('ibot-d', folder, tmp_path, **{'views.size': 96}).config
    inputs = sample(found)
    assert [tuple(view.shape) for view in inputs['views']] == [(3, 96, 96)] * 2
    assert {tuple(mask.shape) for key in ('mask', 'dc_mask') for mask in inputs[key]} == {(6, 6)}
    assert found.model.backbone.img_size == 96
    assert found.object_knn_dataloader.dataset.pipeline[-1].size == 96


def test_small_crops_keep_their_proportion(folder, tmp_path):
    found = resolved('leopart', folder, tmp_path, GPU, init='random', **{'views.size': 448}).config
    sides = [view.shape[-1] for view in sample(found)['views']]
    assert sides == [448, 448, 192, 192, 192, 192]  # of 224 and 96


def test_the_small_view_of_d3ssl_follows(folder, tmp_path):
    found = resolved('d3ssl', folder, tmp_path, GPU, **{'views.size': 128}).config
    assert found.model.small_size == 64
    steps = str(found.train_dataloader.dataset.pipeline)
    assert "'mask_size': 64" in steps
    assert '224' not in steps
    assert '112' not in steps


def test_views_are_not_larger_than_the_photos(folder, tmp_path):
    found = resolved('ibot', folder, tmp_path, GPU)  # photos of 64 x 48
    assert found.config.model.backbone.img_size == 96  # the least
    assert 'median 48 px' in found.config.decisions['views']


def test_a_size_that_does_not_fit_the_patches_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match=r'views.size=100 is no multiple of 16: give 96'):
        resolved('ibot', folder, tmp_path, **{'views.size': 100})
